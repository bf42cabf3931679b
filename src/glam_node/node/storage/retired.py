"""Files on their way out: taken away in one step, looked at, and put back where a newer one was caught."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from glam_node.node.storage.files import make_directory, sync_directory

_AGE_S = 3600.0
"""A file that was written within the hour is another than the one that is to go."""
_PRIVATE = 0o700


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
        make_directory(taken.parent, _PRIVATE)
        try:
            path.rename(taken)
        except FileNotFoundError:
            return True
        if time.time() - taken.stat().st_mtime < _AGE_S:
            self._put_back(taken, path)
            return False
        taken.unlink()
        return True

    def recover(self) -> int:
        """How many files that a process had taken away before it ended are back, or gone for good."""
        left = [path for path in self._retired.rglob("*") if path.is_file()]
        for taken in left:
            if time.time() - taken.stat().st_mtime < _AGE_S:
                self._put_back(taken, self._root / taken.relative_to(self._retired))
            else:
                taken.unlink()
        return len(left)

    def remove_study(self, study_instance_uid: str) -> None:
        """Its instances are gone, but for those received within the hour, and its results."""
        directory = self._root / "instances" / study_instance_uid
        for path in directory.glob("*"):
            self.remove(str(path.relative_to(self._root)))
        shutil.rmtree(self._root / "results" / study_instance_uid, ignore_errors=True)
        with suppress(OSError):
            directory.rmdir()

    def studies(self) -> list[str]:
        """Study Instance UIDs that instances or results are kept of."""
        directories = (path for kind in ("instances", "results") for path in (self._root / kind).glob("*"))
        return sorted({path.name for path in directories if path.is_dir()})

    def _put_back(self, taken: Path, path: Path) -> None:
        """Where yet another has come meanwhile, that one stays."""
        make_directory(path.parent, _PRIVATE)
        with suppress(FileExistsError):
            path.hardlink_to(taken)
        sync_directory(path.parent)
        taken.unlink()
