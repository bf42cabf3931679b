"""Check that an SQLite database is on a local disk, because its locks do not work over a network."""

import re
from pathlib import Path

from sqlalchemy.engine import make_url

from glam_node.node.errors import PermanentError

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone"}
)


def refuse_network_disk(url: str, mounts: Path = MOUNTS) -> None:
    """Check that `url` is not an SQLite database on a network file system, by the list of mounted file systems.

    Raises:
        PermanentError: The database is on a network file system.
    """
    database = make_url(url).database
    if not url.startswith("sqlite") or not database or not mounts.exists():
        return
    path = Path(database).resolve()
    file_system = _file_system(path, mounts.read_text(encoding="utf-8", errors="replace"))
    if file_system in NETWORK_FILE_SYSTEMS:
        raise PermanentError(
            f"SQLite database {path} lies on a network file system ({file_system}), where it would be damaged. "
            "Set database_url to a file on a local disk, or to PostgreSQL."
        )


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that contains `path`; empty if it cannot be determined."""
    if not mounts.exists():
        return ""
    return _file_system(path.resolve(), mounts.read_text(encoding="utf-8", errors="replace"))


def _file_system(path: Path, mounts: str) -> str:
    """Return the type of the innermost mount that contains `path`, from the lines of `mounts` (see fstab(5))."""
    entries = [line.split(" ") for line in mounts.splitlines()]
    points = {_unescaped(entry[1]): entry[2] for entry in entries if len(entry) > 2}
    holding = [point for point in points if path.is_relative_to(point)]
    return points[max(holding, key=len)] if holding else ""


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), point)
