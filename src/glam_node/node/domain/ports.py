"""Interfaces that the workflow uses and other packages implement: destinations and the job queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glam_node.node.domain.job import Priority


@dataclass(frozen=True, slots=True)
class OutgoingInstance:
    """Result object on disk, ready to be sent."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    """Absolute path of the file."""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """Answer of a destination for one object."""

    sop_instance_uid: str
    stored: bool
    status: int | None
    """DIMSE or HTTP status; None without an answer."""
    transient: bool
    """True if the object was not stored and another attempt may succeed."""
    failure: str
    """Message that names the peer, the request, the answer and the remedy; empty if the object was stored."""
    sop_class_refused: bool = False
    """True if the destination accepts no objects of this SOP class."""
    reached: bool = True
    """False if the failure concerns the destination as a whole and not this object, such as a refused connection."""
    broke_off: bool = False
    """True if the connection was closed or timed out while this object, the first of its association, was sent."""
    warning: str = ""
    """Warning of the destination about an object that it stored, in words; empty for none."""


class Destination(Protocol):
    """Destination of results: a DICOM application entity, a DICOMweb server or a folder."""

    @property
    def name(self) -> str:
        """NAME of the [destinations.NAME] section."""
        ...

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Send the instances and return one outcome for each, in the same order.

        A failure of the peer raises no error; the outcomes describe it.
        """
        ...


class JobQueue(Protocol):
    """Announcements of waiting jobs to workers; a lost, late or repeated announcement does no harm."""

    def announce(self, job_id: str, priority: Priority) -> None:
        """Announce a job whose row is committed.

        Raises:
            TransientError: The broker cannot be reached.
        """
        ...
