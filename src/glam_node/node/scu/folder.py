"""A folder as a destination in place of an archive."""

import errno
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.files import write_durably


class FolderDestination:
    """A destination that stores each result as the file <SOP Instance UID>.dcm. Storing it again changes nothing."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Store instances and return one outcome for each, in order. A stored file survives a power failure.

        After the folder has refused one file, the remaining instances count as not reached.
        """
        outcomes: list[StoreOutcome] = []
        for instance in instances:
            outcomes.append(self._store_one(instance))
            if not outcomes[-1].reached:
                failure = outcomes[-1].failure
                rest = instances[len(outcomes) :]
                return outcomes + [
                    StoreOutcome(one.sop_instance_uid, False, None, True, failure, reached=False) for one in rest
                ]
        return outcomes

    def remove(self, sop_instance_uids: Iterable[str]) -> None:
        """Remove results that were stored.

        Raises:
            TransientError: A file cannot be removed.
        """
        try:
            for uid in sop_instance_uids:
                (self._path / f"{uid}.dcm").unlink(missing_ok=True)
        except OSError as error:
            raise TransientError(f"Results cannot be removed from folder {self._path}: {_reason(error)}.") from error

    def _store_one(self, instance: OutgoingInstance) -> StoreOutcome:
        uid = instance.sop_instance_uid
        try:
            data = instance.path.read_bytes()
        except OSError as error:
            failure = f"{instance.path} cannot be sent: {error}. The node tries again. Restore the file if that fails."
            return StoreOutcome(uid, False, None, True, failure)
        try:
            write_durably(self._path / f"{uid}.dcm", data)
        except OSError as error:
            failure = f"Folder {self._path} did not accept {uid}: {_reason(error)}. {_remedy(error, self._name)}"
            return StoreOutcome(uid, False, None, True, failure, reached=False)
        return StoreOutcome(uid, True, None, False, "")


def check_folder(name: str, folder: Path) -> str:
    """Check that the folder accepts results by writing and removing a file, as a delivery would write it.

    Directories that a delivery would create are removed again.

    Returns:
        A sentence that confirms that the folder accepts results.

    Raises:
        PermanentError: The node cannot write to the folder.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    file = folder / f".glam-node-{secrets.token_hex(4)}"
    try:
        write_durably(file, b"probe")
        file.unlink()
    except OSError as error:
        raise PermanentError(f"Folder {folder} accepts no results: {_reason(error)}. {_remedy(error, name)}") from error
    finally:
        for directory in missing:
            _remove_if_empty(directory)
    return f"Folder {folder} accepts results."


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remedy(error: OSError, name: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space there. The node tries again."
    return f"Make it a directory that the node's user may write to, or correct destinations.{name}.path."


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:  # a delivery has put a file there meanwhile, or the directory was never created
        return
