"""Restore: rebuilds a node from a backup that `back_up` wrote."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from glam_node.node.db import migrate, snapshot, storage, studies
from glam_node.node.db.engine import open_database
from glam_node.node.domain.study import Study
from glam_node.node.errors import PermanentError
from glam_node.node.storage.backup_files import Manifest, copy, read_manifest, sha256_of
from glam_node.node.storage.files import sync_directory
from glam_node.node.workflow.operate.retention import retire_one


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """Contents of the restored node."""

    studies: int
    """Number of studies in the database."""
    files: int
    """Number of files that were copied."""
    retired: int
    """Number of studies that are done and whose files are not in the backup."""


def restore(backup: Path, url: str, root: Path, now: datetime, lock: str = "") -> RestoreReport:
    """Copy a backup into an empty storage root and an empty database, and upgrade the database to the newest schema.

    Studies that are done and have no files in the backup become RETIRED, so that nothing looks for their files. When
    the restore fails, `root` is emptied again.

    Args:
        backup: Directory of the backup.
        url: Address of the database.
        root: Storage root.
        now: Current time.
        lock: Name of the file in `root` that the caller uses as a lock; it may exist, and is not removed.

    Raises:
        PermanentError: The backup is damaged or was made by a newer glam-node, or `root` or the database is not empty.
        OSError: `root` cannot be written.
    """
    manifest = read_manifest(backup)
    _refuse_occupied(root, lock)
    snapshot.refuse_occupied(url, manifest.database)
    if not migrate.knows(manifest.schema):
        raise PermanentError(
            f"{backup} was made by glam-node {manifest.version}, which is newer. Install that version, or a newer one."
        )
    with _all_or_nothing(root, lock):
        _copy_files(backup, manifest, root)
        snapshot.load(url, backup / manifest.database)
        sync_directory(root)
    migrate.upgrade(url)
    sessions = open_database(url)
    try:
        with sessions.begin() as session:
            storage.choose_storage_id(session)
            storage.forget_storage(session)
            retired = _retire_without_files(session, root, now)
            count = sum(studies.counts_by_state(session).values())
    finally:
        sessions.kw["bind"].dispose()
    return RestoreReport(count, sum(map(manifest.is_of_storage_root, manifest.files)), retired)


def _refuse_occupied(root: Path, lock: str) -> None:
    if any(path.name != lock for path in root.glob("*")):
        raise PermanentError(f"storage.root {root} is not empty, and restore does not overwrite data. Name another.")


@contextmanager
def _all_or_nothing(root: Path, lock: str) -> Iterator[None]:
    """Empty `root` when the block fails; the directory itself stays, because a volume is often mounted there."""
    try:
        yield
    except BaseException:
        for path in (one for one in root.glob("*") if one.name != lock):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _copy_files(backup: Path, manifest: Manifest, root: Path) -> None:
    for path, digest in manifest.files.items():
        source = backup / path
        try:
            found = copy(source, root / path) if manifest.is_of_storage_root(path) else sha256_of(source)
        except FileNotFoundError as error:
            raise PermanentError(f"{source} is missing from the backup. Take another backup.") from error
        if found != digest:
            raise PermanentError(f"{source} is damaged: its SHA-256 is not that of the manifest. Take another backup.")


def _retire_without_files(session: Session, root: Path, now: datetime) -> int:
    done = studies.done(session)
    gone = [
        study
        for study in studies.not_retired(session)
        if study.study_instance_uid in done and not _is_whole(study, root)
    ]
    for study in gone:
        retire_one(session, study, "restore", now)
    return len(gone)


def _is_whole(study: Study, root: Path) -> bool:
    return all((root / instance.path).exists() for instance in study.instances)
