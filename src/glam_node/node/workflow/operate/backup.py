"""Backup: copies a node, running or stopped, to a directory from which `restore` rebuilds it."""

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from glam_node import __version__
from glam_node.node.db import conflicts, deliveries, jobs, migrate, studies
from glam_node.node.db.snapshot import snapshot
from glam_node.node.domain.study import Study
from glam_node.node.errors import PermanentError
from glam_node.node.storage.backup_files import SETTINGS, Manifest, copy, sha256_of
from glam_node.node.storage.files import PRIVATE_DIRECTORY, sync_directory, write_durably
from glam_node.node.storage.findings import findings_path


@dataclass(frozen=True, slots=True)
class BackupReport:
    """Contents of one backup."""

    studies: int
    """Number of studies in the database."""
    files: int
    """Number of files from the storage root."""
    images: Mapping[str, int]
    """Number of copied images by Study Instance UID, for the studies whose files were copied."""
    lost: tuple[str, ...]
    """Files that the database names but the storage root does not have, as paths relative to it."""


def back_up(url: str, root: Path, target: Path, *, settings: str, everything: bool, now: datetime) -> BackupReport:
    """Copy the database, the settings and the files of the studies to the new directory `target`.

    The node may run meanwhile: every file that the copied database names is in the copy, except those in `lost`. If the
    backup fails, all its files are removed.

    Args:
        url: Address of the database.
        root: Storage root.
        target: Directory to create.
        settings: Text of the settings file.
        everything: Whether to copy the files of all studies; else those of studies that are not done.
        now: Current time.

    Raises:
        PermanentError: `target` exists.
        OSError: `target` cannot be written.
    """
    if target.exists():
        raise PermanentError(f"{target} already exists. Name a new directory for each backup.")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    part.mkdir(PRIVATE_DIRECTORY)
    try:
        report = _copy_consistently(url, root, part, settings=settings, everything=everything, now=now)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part)
        raise
    sync_directory(target.absolute().parent)
    return report


def _copy_consistently(
    url: str, root: Path, part: Path, *, settings: str, everything: bool, now: datetime
) -> BackupReport:
    """Copy the database and then the files that it names; repeat this until no file was removed in between.

    If a study is retired after the database was copied and before its files were, the database is copied again.
    """
    copied: dict[str, str] = {}
    lost: set[str] = set()
    while True:
        with snapshot(url, part) as (database, session):
            wanted = set(_paths_to_copy(session, root, everything))
            schema, count = migrate.revision(session), sum(studies.counts_by_state(session).values())
        missing = _copy_what_is_there(root, part, wanted - copied.keys(), copied)
        if missing <= lost:
            break
        lost |= missing
    for path in copied.keys() - wanted:
        (part / path).unlink()
    files = {path: digest for path, digest in sorted(copied.items()) if path in wanted}
    write_durably(part / SETTINGS, settings.encode())
    listed = {database.name: sha256_of(database), SETTINGS: sha256_of(part / SETTINGS), **files}
    Manifest(__version__, schema, now.isoformat(), database.name, everything, listed).write(part)
    images = Counter(Path(path).parts[1] for path in files if path.startswith("instances/"))
    return BackupReport(count, len(files), images, tuple(sorted(missing)))


def _paths_to_copy(session: Session, root: Path, everything: bool) -> Iterator[str]:
    done = set() if everything else studies.done(session)
    for study in studies.not_retired(session):
        if study.study_instance_uid not in done:
            yield from _files(session, study, root)


def _files(session: Session, study: Study, root: Path) -> Iterator[str]:
    uid = study.study_instance_uid
    yield from (instance.path for instance in study.instances)
    yield from (conflict.newer.path for conflict in conflicts.open_of_study(session, uid))
    yield from (delivery.path for delivery in deliveries.of_study(session, uid))
    written = [findings_path(root, job.job_id) for job in jobs.of_study(session, uid)]
    written += (root / "results" / uid).glob("[!.]*")  # files that are being written begin with a dot
    yield from (str(path.relative_to(root)) for path in written if path.exists())


def _copy_what_is_there(root: Path, part: Path, paths: set[str], copied: dict[str, str]) -> set[str]:
    """Copy the files that exist, add their SHA-256 to `copied`, and return the paths that do not exist."""
    missing = set()
    for path in paths:
        try:
            copied[path] = copy(root / path, part / path)
        except FileNotFoundError:
            missing.add(path)
    return missing
