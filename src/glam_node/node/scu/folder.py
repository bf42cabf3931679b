"""A folder that takes the place of an archive."""

from collections.abc import Sequence
from pathlib import Path

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.storage.files import write_durably


class FolderDestination:
    """Every result is a file <SOP Instance UID>.dcm in one directory; storing it again changes nothing."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """One outcome per instance, in order; a file that is there survives a power cut."""
        return [self._store_one(instance) for instance in instances]

    def _store_one(self, instance: OutgoingInstance) -> StoreOutcome:
        uid = instance.sop_instance_uid
        try:
            write_durably(self._path / f"{uid}.dcm", instance.path.read_bytes())
        except OSError as error:
            failure = f"Folder {self._path} did not take {uid}: {error}. Check destinations.{self._name}.path."
            return StoreOutcome(uid, False, None, True, failure)
        return StoreOutcome(uid, True, None, False, "")
