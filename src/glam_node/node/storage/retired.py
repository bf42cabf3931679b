"""Files on their way out: taken away in one step, looked at, and put back where a newer one was caught."""

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, sync_directory
from glam_node.node.storage.pictures import DrawnPictures

RECENT_S = 3600.0
"""A file that was written within the hour is another than the one that is to go."""


class RetiredFiles:
    """`retired` in the storage root: what is in it is removed, or was about to be when the process ended."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._retired = self._root / "retired"

    def remove(self, relative: str) -> bool:
        """The file is gone; False, and it stays, where one received within the hour took its place. Raises OSError.

        A receiver may put an instance that is sent again into the same place at any moment: so the file is moved away
        first and looked at then.
        """
        path, taken = self._root / relative, self._retired / relative
        make_directory(taken.parent, PRIVATE_DIRECTORY)
        try:
            path.rename(taken)
        except FileNotFoundError:
            return True
        return self._settle(taken, path)

    def recover(self) -> int:
        """How many files that a process had taken away before it ended are back, or gone for good."""
        left = [path for path in self._retired.rglob("*") if path.is_file()]
        for taken in left:
            self._settle(taken, self._root / taken.relative_to(self._retired))
        return len(left)

    def remove_study(self, study_instance_uid: str, findings: Iterable[str]) -> None:
        """Its `findings`, its instances but for those received within the hour, its results and pictures are gone."""
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
        """Study Instance UIDs that instances, results or pictures are kept of."""
        kinds = ("instances", "results", "pictures")
        directories = (path for kind in kinds for path in (self._root / kind).glob("*"))
        return sorted({path.name for path in directories if path.is_dir()})

    def _settle(self, taken: Path, path: Path) -> bool:
        """Nothing is at `taken`: it is gone, or back at `path`, and False, where it is recent.

        Where yet another has come to `path` meanwhile, that one stays.
        """
        is_old = time.time() - taken.stat().st_mtime >= RECENT_S
        if not is_old:
            make_directory(path.parent, PRIVATE_DIRECTORY)
            with suppress(FileExistsError):
                path.hardlink_to(taken)
            sync_directory(path.parent)
        taken.unlink()
        return is_old
