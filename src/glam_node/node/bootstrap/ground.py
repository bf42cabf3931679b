"""What a node stands on: its directory and its database, or in plain words what is wrong with them."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from glam_node.node.db import migrate
from glam_node.node.db.engine import SessionFactory, database_url, open_database
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory
from glam_node.node.storage.instances import InstanceStore
from glam_node.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """What every process of a node has."""

    settings: Settings
    sessions: SessionFactory
    store: InstanceStore


def open_ground(settings: Settings) -> Ground:
    """The storage root is there and the database has the newest schema.

    Raises PermanentError when the storage root cannot be written or a setting cannot work, TransientError when the
    database does not answer.
    """
    prepare_root(settings.storage.root)
    url = database_url(settings.database_url, settings.storage.root)
    with database_trouble(settings):
        migrate.upgrade(url)
    return Ground(settings, open_database(url), InstanceStore(settings.storage.root))


@contextmanager
def brief_sessions(settings: Settings) -> Iterator[SessionFactory]:
    """The database as it is, for one thing to be said; raises as `database_trouble` does."""
    with database_trouble(settings):
        sessions = open_database(database_url(settings.database_url, settings.storage.root))
        try:
            yield sessions
        finally:
            sessions.kw["bind"].dispose()


def prepare_root(root: Path) -> None:
    """The storage root is there and takes files. Raises PermanentError saying what to do when it does not."""
    try:
        make_directory(root, PRIVATE_DIRECTORY)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise PermanentError(
            f"storage.root {root.absolute()} cannot be written by user {os.getuid()}: {error.strerror}. "
            f"{disk_remedy(error, root)}"
        ) from error


def disk_remedy(error: OSError, root: Path) -> str:
    """What to do where `root` takes no files."""
    if error.errno == errno.EROFS:
        return "That disk is mounted read-only: see dmesg for why, mount it for writing, or set another storage.root."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "That disk is full: make room there, or set another storage.root."
    there = next((path for path in (root, *root.absolute().parents) if path.exists()), root)
    owner = f"{there} belongs to user {there.stat().st_uid}. " if error.errno == errno.EACCES else ""
    return f"{owner}Give that user the directory, or set another storage.root."


@contextmanager
def database_trouble(settings: Settings) -> Iterator[None]:
    """Inside, a database that does not answer raises TransientError, and one without a driver PermanentError."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise TransientError(
            f"{_shown_database(settings)} does not answer: {getattr(error, 'orig', None) or error}. Check database_url."
        ) from error
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"database_url needs the package {error.name}: pip install 'glam-node[postgresql]'."
        ) from error


def _shown_database(settings: Settings) -> str:
    url = make_url(database_url(settings.database_url, settings.storage.root))
    return f"Database {url.render_as_string(hide_password=True)}"
