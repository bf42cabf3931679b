"""Removal of a study's files, which keeps instances that a receiver stores again during the removal."""

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, sync_directory
from glam_node.node.storage.pictures import DrawnPictures

RECENT_S = 3600.0
"""Age in seconds below which a file counts as new and must not be removed."""


class RetiredFiles:
    """The directory `retired` in the storage root, where files are moved before they are removed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._retired = self._root / "retired"

    def remove(self, relative: str) -> bool:
        """Remove a file, unless it was received within the last hour.

        If the instance is sent again, a receiver may store it at the same path at any moment. So the file is moved away
        first, and its age is checked after that.

        Args:
            relative: The path relative to the storage root.

        Returns:
            False if the file stays because it is recent.

        Raises:
            OSError: The file cannot be moved or removed.
        """
        path, taken = self._root / relative, self._retired / relative
        if not path.exists():  # also when the share was unmounted: nothing may be created in its empty mount point
            return True
        make_directory(taken.parent, PRIVATE_DIRECTORY)
        try:
            path.rename(taken)
        except FileNotFoundError:
            return True
        return self._settle(taken, path)

    def recover(self) -> int:
        """Remove or restore the files that an interrupted removal had moved away; return their number."""
        left = [path for path in self._retired.rglob("*") if path.is_file()]
        for taken in left:
            self._settle(taken, self._root / taken.relative_to(self._retired))
        return len(left)

    def remove_study(self, study_instance_uid: str, findings: Iterable[str]) -> None:
        """Remove the files of a study, except instances and findings that were written within the last hour.

        Args:
            study_instance_uid: The study.
            findings: Paths of its findings files, relative to the storage root.

        Raises:
            OSError: A file cannot be moved or removed.
        """
        for relative in findings:
            self.remove(relative)
        directory = self._root / "instances" / study_instance_uid
        for path in directory.glob("*"):
            self.remove(str(path.relative_to(self._root)))
        shutil.rmtree(self._root / "results" / study_instance_uid, ignore_errors=True)
        DrawnPictures(self._root).remove_study(study_instance_uid)
        with suppress(OSError):
            directory.rmdir()

    def studies(self) -> list[str]:
        """Return the UIDs of all studies with instances, results or pictures in the storage root."""
        kinds = ("instances", "results", "pictures")
        directories = (path for kind in kinds for path in (self._root / kind).glob("*"))
        return sorted({path.name for path in directories if path.is_dir()})

    def _settle(self, taken: Path, path: Path) -> bool:
        """Remove a file that was moved to `taken`, or restore it at `path` if it is recent; return whether it was old.

        A recent file is not restored if another was stored at `path` meanwhile.
        """
        is_old = time.time() - taken.stat().st_mtime >= RECENT_S
        if not is_old:
            make_directory(path.parent, PRIVATE_DIRECTORY)
            with suppress(FileExistsError):
                path.hardlink_to(taken)
            sync_directory(path.parent)
        taken.unlink()
        return is_old
