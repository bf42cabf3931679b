"""Interfaces that the workflow uses and other packages implement: destinations, sources and the job queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy, FoundStudies, StudyQuery
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


@dataclass(frozen=True, slots=True)
class Fetched:
    """Instance as an archive sends it, not yet stored."""

    study_instance_uid: str
    """The study that was asked for."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    encoded: memoryview
    """The data set without preamble and file meta information."""


Accept = Callable[[Fetched], None]
"""Function that stores an instance durably. It raises a NodeError if that fails, whose `status` is the DIMSE status."""


class Source(Protocol):
    """Archive that studies are fetched from, by C-MOVE, C-GET or DICOMweb."""

    @property
    def name(self) -> str:
        """NAME of the [sources.NAME] section."""
        ...

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Return the studies that match, without those that the archive returns although they do not match.

        Raises:
            NodeError: The archive does not answer, or refuses the query.
        """
        ...

    def list_series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        """Return the series of a study that the source fetches, with their instances as far as the archive lists them.

        Raises:
            NodeError: The archive does not answer, or refuses the query.
        """
        ...

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        """Have the archive send instances of a study; the caller finds out which of them are stored.

        Args:
            study: The study.
            wanted: The series with the instances to send; a series without listed instances is sent as a whole.
            accept: Called with each instance, unless the archive sends them to the receiver.
            on_progress: Called whenever the archive has sent or reported something.

        Returns:
            The failures of single instances, in words.

        Raises:
            NodeError: The archive does not answer, or refuses to send.
        """
        ...

    def check(self) -> str:
        """Return a sentence that confirms that the archive answers queries and accepts requests to send.

        Raises:
            NodeError: The archive does not answer, or would not send.
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
