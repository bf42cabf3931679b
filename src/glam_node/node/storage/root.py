"""The storage root: its marker file, which shows that its share or disk is mounted, and its free space."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from glam_node.node.errors import TransientError
from glam_node.node.storage.files import write_durably

_PRIVATE_MODE = 0o600
ROOT_REPLACED = (
    "storage.root {root} has lost its marker file {marker}, so it is another directory than at the start. "
    "Is the share or disk mounted? Work continues when it is mounted again."
)
MARKER = "storage-id"


def read_marker(root: Path) -> str:
    """Return the id of the storage root, or an empty string if it has no marker file. Raises OSError."""
    try:
        return (root / MARKER).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def missing_marker(root: Path) -> str:
    """Return a message about a storage root without a marker file; empty if it has one or cannot be read."""
    with suppress(OSError):
        if not read_marker(root):
            return (
                f"storage.root {root.absolute()} has no storage-id: either no node was ever started on it, or its "
                "share is not mounted. Check the mount and storage.root."
            )
    return ""


def write_marker(root: Path, storage_id: str) -> None:
    """Write the id of the storage root to its marker file, durably. Raises OSError."""
    write_durably(root / MARKER, f"{storage_id}\n".encode(), _PRIVATE_MODE)


class StorageRoot:
    """A storage root and the marker file that it had at the start: nothing may be written to an empty mount point."""

    def __init__(self, root: Path, marker: str | None = None) -> None:
        """Remember the marker (default: what the file contains now)."""
        self.root = root.resolve()
        self._marker = read_marker(self.root) if marker is None else marker
        self._marker_path = str(self.root / MARKER)
        self._seen: tuple[int, ...] = ()
        """Identity of the file that had the right contents when it was last read."""

    def is_there(self) -> bool:
        """Return whether the marker file is that of the start; it is another after a share was unmounted.

        The file is read again only if its identity changed: this is called for every image.
        """
        try:
            found = os.stat(self._marker_path)  # noqa: PTH116 - much faster than Path.stat
            identity = found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
            if identity != self._seen:
                if read_marker(self.root) != self._marker:
                    return False
                self._seen = identity
        except (FileNotFoundError, NotADirectoryError):
            return not self._marker
        except OSError:
            return False
        return True

    def require(self) -> None:
        """Raise TransientError if the marker file changed since the start, such as after a share was unmounted."""
        if not self.is_there():
            raise TransientError(ROOT_REPLACED.format(root=self.root, marker=MARKER))

    def free_bytes(self) -> int:
        """Return the free bytes on the file system of the storage root. Raises OSError."""
        return shutil.disk_usage(self.root).free

    def free_bytes_or_none(self) -> int | None:
        """Return the free bytes of the storage root, or None while it is away."""
        with suppress(OSError):
            return self.free_bytes() if self.is_there() else None
        return None

    def has_room(self, least_free_bytes: int) -> bool:
        """Return whether at least this number of bytes is free. Raises OSError."""
        return self.free_bytes() >= least_free_bytes
