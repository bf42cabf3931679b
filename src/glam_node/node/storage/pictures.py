"""A cache of the pictures that the console draws."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, write_durably

_PRIVATE_FILE = 0o600
MAXIMUM_BYTES = 512 * 2**20
"""Maximum size of the cache in bytes, enough for about 100 studies."""


class DrawnPictures:
    """The directory `pictures` in the storage root, with a directory for each study.

    The pictures shown least recently are removed when the cache is full. A picture that cannot be written or read is
    drawn again.
    """

    def __init__(self, root: Path, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._directory = root / "pictures"
        self._maximum_bytes = maximum_bytes

    def find(self, study_instance_uid: str, name: str) -> bytes | None:
        """Return the picture (PNG), or None if it is not in the cache; it counts as shown now."""
        path = self._directory / study_instance_uid / name
        try:
            drawn = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return drawn or None

    def keep(self, study_instance_uid: str, name: str, drawn: bytes) -> None:
        """Add a picture (PNG), readable by the user of the node only; do nothing if it cannot be written."""
        path = self._directory / study_instance_uid / name
        with suppress(OSError):
            make_directory(path.parent, PRIVATE_DIRECTORY)
            write_durably(path, drawn, _PRIVATE_FILE)
            self._make_room()

    def remove_study(self, study_instance_uid: str) -> None:
        """Remove all pictures of a study."""
        shutil.rmtree(self._directory / study_instance_uid, ignore_errors=True)

    def _make_room(self) -> None:
        kept = [(path.stat(), path) for path in self._directory.glob("*/*.png")]
        excess = sum(status.st_size for status, _ in kept) - self._maximum_bytes
        for status, path in sorted(kept, key=lambda one: one[0].st_mtime_ns):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= status.st_size
            with suppress(OSError):
                path.parent.rmdir()
