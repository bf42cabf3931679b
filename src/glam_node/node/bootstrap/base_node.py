"""The storage root and the database of a node, and messages about their failures."""

import errno
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from glam_node.node.db import migrate, storage
from glam_node.node.db.engine import SessionFactory, database_url, is_damaged, open_database, reading
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.storage.root import MARKER, read_marker, write_marker
from glam_node.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class BaseNode:
    """The parts that every process of a node needs: settings, database and stored files."""

    settings: Settings
    sessions: SessionFactory
    store: InstanceStore


def open_base_node(settings: Settings) -> BaseNode:
    """Create the storage root if needed, upgrade the database to the newest schema, and open both.

    Raises:
        PermanentError: The storage root cannot be written, or a setting cannot work.
        TransientError: The database does not answer.
    """
    refuse_other_root(settings)
    prepare_root(settings.storage.root)
    url = database_url(settings.database_url, settings.storage.root)
    with database_trouble(settings):
        migrate.upgrade(url)
        sessions = open_database(url)
        try:
            storage_id = bind_root(sessions, settings)
        except BaseException:
            sessions.kw["bind"].dispose()
            raise
    return BaseNode(settings, sessions, InstanceStore(settings.storage.root, storage_id))


def refuse_other_root(settings: Settings) -> None:
    """Check, before anything is created in the storage root, that it is the one of the database, if that exists.

    Raises:
        PermanentError: They do not belong together, or the database is lost; usually a share is not mounted.
        TransientError: The database does not answer.
    """
    if lost := lost_database(settings):
        raise PermanentError(lost)
    url = database_url(settings.database_url, settings.storage.root)
    with database_trouble(settings):
        if not migrate.is_current(url):
            return
    with brief_sessions(settings) as sessions, reading(sessions)() as session:
        storage_id, is_bound = storage.known_storage(session)
        trouble = root_trouble(settings, storage_id, storage.newest_files(session), is_bound=is_bound)
    if storage_id and trouble:
        raise PermanentError(trouble)


def lost_database(settings: Settings) -> str:
    """Return why a new SQLite database would replace a lost one, and the remedy; empty if none is lost."""
    root = settings.storage.root
    url = make_url(database_url(settings.database_url, root))
    if url.get_backend_name() != "sqlite" or "uri" in url.query:
        return ""
    with suppress(OSError):
        # The marker is read first: another process that starts creates the database before the marker.
        trace = f"the marker file {MARKER} of a database" if read_marker(root) else _stored_images(root)
        if not trace or Path(url.database or "").is_file():
            return ""
        return (
            f"{_shown_database(settings)} does not exist, but storage.root {root.absolute()} has {trace}. "
            "A file that was moved, or a restore without it, may be the cause. Put "
            f"{url.database} back with its -wal file, correct database_url, or restore a backup into an empty "
            "directory with `glam-node restore`. To start without the former studies, accounts and audit trail, move "
            f"{root.absolute()} away."
        )
    return ""


def _stored_images(root: Path) -> str:
    """Return words for the images of studies in a storage root; empty if there are none. Raises OSError."""
    stored = root / "instances"
    return "images of studies" if stored.is_dir() and next(stored.iterdir(), None) else ""


def bind_root(sessions: SessionFactory, settings: Settings) -> str:
    """Bind database and storage root to each other at the first start, and later check that they belong together.

    Returns:
        The ID of the storage root.

    Raises:
        PermanentError: They do not belong together, so studies would fail because their files are missing.
    """
    root = settings.storage.root
    with reading(sessions)() as session:
        storage_id, is_bound = storage.known_storage(session)
    if is_bound and read_marker(root) == storage_id:
        return storage_id
    with sessions.begin() as session:
        storage.choose_storage_id(session)
    with sessions.begin() as session:
        storage_id, is_bound = storage.known_storage(session, lock=True)
        trouble = root_trouble(settings, storage_id, storage.newest_files(session), is_bound=is_bound)
        if trouble:
            raise PermanentError(trouble)
        write_marker(root, storage_id)
        storage.bind_storage(session)
    return storage_id


def root_trouble(settings: Settings, storage_id: str, files: Sequence[str], *, is_bound: bool) -> str:
    """Return why the storage root does not belong to the database, and the remedy; empty if it may be used.

    Args:
        settings: The settings, which name the storage root and the database.
        storage_id: The identifier of the storage root in the database.
        files: Paths of the newest files in the database, relative to the storage root.
        is_bound: Whether the database was bound to a storage root before.
    """
    root = settings.storage.root
    where, marker = f"storage.root {root.absolute()}", read_marker(root)
    if marker == storage_id:
        return ""
    if marker:
        return (
            f"{where} belongs to another database than {_shown_database(settings)}. Correct storage.root or "
            "database_url. After the loss of its own database, restore a backup into an empty directory."
        )
    missing = "its marker file" if is_bound else f"any of the newest files that the database lists ({len(files)})"
    if not is_bound and (not files or any((root / path).exists() for path in files)):
        return ""
    return (
        f"{where} does not have {missing}, so it is not the directory of {_shown_database(settings)}. Is the share or "
        f"disk mounted? Correct storage.root. If its files are lost for good, write {storage_id} into {root / MARKER}."
    )


@contextmanager
def brief_sessions(settings: Settings) -> Iterator[SessionFactory]:
    """Open the database without an upgrade, for a single use; raise the errors of `database_trouble`."""
    with database_trouble(settings):
        sessions = open_database(database_url(settings.database_url, settings.storage.root))
        try:
            yield sessions
        finally:
            sessions.kw["bind"].dispose()


def prepare_root(root: Path) -> None:
    """Create the storage root if needed.

    Raises:
        PermanentError: The storage root cannot be written; the message names the remedy.
    """
    try:
        if not root.is_dir():
            make_directory(root, PRIVATE_DIRECTORY)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise PermanentError(
            f"storage.root {root.absolute()} cannot be written by user {os.getuid()}: {error.strerror}. "
            f"{disk_remedy(error, root)}"
        ) from error


def disk_remedy(error: OSError, root: Path) -> str:
    """Return the remedy for a storage root that cannot be written."""
    if error.errno == errno.EROFS:
        return "That disk is mounted read-only: see dmesg for why, mount it for writing, or set another storage.root."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "That disk is full: make room there, or set another storage.root."
    root = root.absolute()
    there = existing_part(root)
    if not there.is_dir():
        return f"{there} is not a directory: move it away, or set another storage.root."
    if error.errno not in (errno.EACCES, errno.EPERM):
        return "See dmesg for errors of that disk, or set another storage.root."
    owner = there.stat().st_uid
    return f"{there} belongs to user {owner}. Run `{_granting(root, there, owner)}`, or set another storage.root."


def _granting(root: Path, there: Path, owner: int) -> str:
    """Return the command that lets the user of this process write to `root`, whose nearest directory is `there`."""
    user, path = os.getuid(), shlex.quote(str(root))
    if not os.access(there, os.X_OK) and there != root:
        return f"sudo chmod o+x {shlex.quote(str(there))}"
    if there != root:
        return f"sudo install -d -o {user} -m 700 {path}"
    return f"chmod u+rwx {path}" if owner == user else f"sudo chown -R {user} {path}"


def existing_part(path: Path) -> Path:
    """Return the path, or its nearest parent that exists and that this user can see."""
    return next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))


@contextmanager
def database_trouble(settings: Settings) -> Iterator[None]:
    """Translate database errors into errors of the node.

    Raises:
        TransientError: The database does not answer.
        PermanentError: The driver of the database is not installed, or its file is damaged.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if isinstance(error, DBAPIError) and is_damaged(error):
            raise PermanentError(
                f"{_shown_database(settings)} is damaged: {_reason(error)}. Stop the node, and restore its last backup "
                "into an empty storage.root with `glam-node restore`."
            ) from error
        if not isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
            raise
        raise TransientError(
            f"{_shown_database(settings)} does not answer: {_reason(error)}. Check database_url."
        ) from error
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"database_url needs the package {error.name}: pip install 'glam-node[postgresql]'."
        ) from error


def _reason(error: DBAPIError | PoolTimeoutError) -> str:
    """Return the driver's message in one line, without the punctuation at its end."""
    lines = unstopped(getattr(error, "orig", None) or error).rstrip("?").splitlines()
    return "; ".join(line.strip() for line in lines)


def _shown_database(settings: Settings) -> str:
    url = make_url(database_url(settings.database_url, settings.storage.root))
    return f"Database {url.render_as_string(hide_password=True)}"
