"""Pictures that were drawn for the console, kept to be shown again; they can be drawn anew at any time."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, write_durably

_PRIVATE_FILE = 0o600
MAXIMUM_BYTES = 512 * 2**20
"""Of about a hundred studies."""


class DrawnPictures:
    """`pictures` in the storage root, a directory for each study; what was not seen for longest makes room.

    Nothing is lost with them: what cannot be kept or read is as if it had never been drawn.
    """

    def __init__(self, root: Path, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._directory = root / "pictures"
        self._maximum_bytes = maximum_bytes

    def find(self, study_instance_uid: str, name: str) -> bytes | None:
        """What was kept under that name; it counts as seen now."""
        path = self._directory / study_instance_uid / name
        try:
            drawn = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return drawn or None

    def keep(self, study_instance_uid: str, name: str, drawn: bytes) -> None:
        """It is there under that name, whole, for the user that the node runs as; not at all where the disk is full."""
        path = self._directory / study_instance_uid / name
        with suppress(OSError):
            make_directory(path.parent, PRIVATE_DIRECTORY)
            write_durably(path, drawn, _PRIVATE_FILE)
            self._make_room()

    def remove_study(self, study_instance_uid: str) -> None:
        """None of it is kept any more."""
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
