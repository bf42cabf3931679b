"""The seams that have two implementations each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glam_node.node.domain.job import Priority


@dataclass(frozen=True, slots=True)
class OutgoingInstance:
    """One result object on disk, ready to be sent."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    """Absolute."""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What a destination answered for one object."""

    sop_instance_uid: str
    stored: bool
    status: int | None
    """DIMSE or HTTP status; None when no answer came."""
    transient: bool
    """Not stored: whether trying again may help."""
    failure: str
    """Empty when stored; else peer, what was asked, what came back, what to do."""
    sop_class_refused: bool = False
    """Not stored: the destination takes no objects of this SOP class."""
    reached: bool = True
    """False: the destination was never asked to store this object, since it did not answer or went away before."""
    broke_off: bool = False
    """Not stored: the destination went away or fell silent over this object, which was the first one it was sent."""
    warning: str = ""
    """Stored: what the destination said of it nevertheless, in words; empty when nothing."""


class Destination(Protocol):
    """An archive that takes results: a DICOM application entity, a DICOMweb server or a folder."""

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        ...

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """One outcome per instance, in order, read from that instance's own answer; never raises for a failing peer."""
        ...


class JobQueue(Protocol):
    """The doorbell: it says that a job waits, and may be lost, late or doubled without harm."""

    def ring(self, job_id: str, priority: Priority) -> None:
        """Announce a job whose row is committed. Raises TransientError when the broker cannot be reached."""
        ...
