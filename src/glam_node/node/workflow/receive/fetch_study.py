"""Fetching of studies from a source: an archive is asked again until the node has every instance that it lists.

What an archive sends on its own association goes to the receiver. What the node gets in another way is stored here by
the same function, in this process: storage root and database serve several receiving processes at the same time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.db.writer import Writer
from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.ports import Fetched, Source
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.file_head import file_head
from glam_node.node.storage.instances import InstanceStore, is_valid_uid
from glam_node.node.workflow.receive.refusals import Refusals
from glam_node.node.workflow.receive.store_instance import (
    DATA_SET_DOES_NOT_MATCH,
    Received,
    Refused,
    receive,
)

log = structlog.get_logger(__name__)

OUT_OF_RESOURCES = 0xA700
SOP_CLASS_NOT_SUPPORTED = 0x0122
ATTEMPTS = 3
"""Number of times that an archive is asked for the instances of a study."""
PAUSE_S = 2.0
"""Seconds before the second attempt; the pause doubles with each further one."""
ARRIVAL_S = 3.0
"""Seconds to wait, after the archive has answered, for instances that the receiver has not stored yet."""
_POLL_S = 0.1
_WRITTEN_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Intake:
    """The storage of instances that the node fetches itself, with the checks of the receiver."""

    store: InstanceStore
    writer: Writer
    refusals: Refusals
    minimum_free_bytes: int
    accepted: Mapping[str, Sequence[str]]
    """Accepted transfer syntaxes by storage SOP class."""
    calling_ae_title: str
    """The sender that is recorded: the AE title of the source, or its name if it has none."""
    address: str

    def accept(self, fetched: Fetched) -> None:
        """Store an instance durably; see `Accept`.

        Raises:
            Refused: The instance cannot be accepted; the refusal is recorded.
            TransientError: The node cannot store it at present.
        """
        try:
            self._store(fetched)
        except Refused as error:
            detail: EventDetail = {
                "status": f"0x{error.status or 0:04X}",
                "reason": str(error),
                "calling_ae_title": self.calling_ae_title,
                "address": self.address,
                "sop_class_uid": fetched.sop_class_uid[:64],
                "sop_instance_uid": fetched.sop_instance_uid[:64],
            }
            self.refusals.record(EventKind.INSTANCE_REFUSED, detail)
            raise
        except OSError as error:
            raise TransientError(
                f"storage.root cannot be written: {error.strerror}. Check its disk.", status=OUT_OF_RESOURCES
            ) from error

    def _store(self, fetched: Fetched) -> None:
        uids = (fetched.sop_class_uid, fetched.sop_instance_uid, fetched.transfer_syntax_uid)
        if fetched.transfer_syntax_uid not in self.accepted.get(fetched.sop_class_uid, ()):
            raise Refused("SOP class or transfer syntax not supported", status=SOP_CLASS_NOT_SUPPORTED)
        if not is_valid_uid(fetched.sop_instance_uid):
            raise Refused("SOP Instance UID is not a valid UID", status=DATA_SET_DOES_NOT_MATCH)
        if self.store.free_bytes() < self.minimum_free_bytes:
            raise TransientError(
                f"Fewer than storage.minimum_free_bytes ({self.minimum_free_bytes}) are free on the disk of "
                "storage.root. Free disk space.",
                status=OUT_OF_RESOURCES,
            )
        file = self.store.incoming(file_head(*uids))
        try:
            for first in range(0, len(fetched.encoded), _WRITTEN_AT_ONCE):
                file.write([fetched.encoded[first : first + _WRITTEN_AT_ONCE]])
            received = Received(*uids, file, fetched.study_instance_uid)
            now = datetime.now(UTC)
            receive(received, self.calling_ae_title, store=self.store, writer=self.writer, now=now)
        finally:
            file.discard()


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """The outcome of fetching a study."""

    study_instance_uid: str
    expected: int
    """Number of instances that the archive has, in the series that the source fetches."""
    stored: int
    """Number of these instances that the node has."""
    new: int
    """Number of these instances that the node did not have before."""
    failures: tuple[str, ...]
    """The failures of the last attempt, in words."""

    @property
    def is_complete(self) -> bool:
        """Whether the node has all instances."""
        return self.stored >= self.expected


class StudyFetcher:
    """Fetches studies of one source.

    Args:
        source: The source.
        intake: The storage of instances that the archive does not send to the receiver.
        sessions: Database sessions.
        attempts: Number of times that the archive is asked for what is missing.
        pause_s: Seconds before the second attempt.
    """

    def __init__(
        self,
        source: Source,
        intake: Intake,
        sessions: SessionFactory,
        attempts: int = ATTEMPTS,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._source, self._intake, self._reading = source, intake, reading(sessions)
        self._attempts, self._pause_s = attempts, pause_s

    def fetch(
        self, study: ArchivedStudy, tell: Callable[[int, int], None] = lambda _done, _total: None
    ) -> FetchOutcome:
        """Fetch a study; it is complete only when the node has every instance that the archive lists or counts.

        Args:
            study: The study as the archive describes it.
            tell: Called with the number of stored instances and the number of instances in the archive.

        Raises:
            PermanentError: The archive refuses, has no series to fetch, or does not say what it has.
            TransientError: The archive did not answer the query for the content of the study.
        """
        series = self._source.list_series(study)
        expected = sum(one.expected for one in series)
        if not expected:
            raise PermanentError(
                f"{self._source.name} lists no instances of study {study.study_instance_uid} that would be fetched. "
                f"Check sources.{self._source.name}.modalities."
            )
        before = self._stored(study, series)
        failures = self._retrieve(study, series, lambda: tell(self._stored(study, series), expected))
        stored = self._stored(study, series)
        tell(stored, expected)
        return FetchOutcome(study.study_instance_uid, expected, stored, stored - before, failures)

    def _retrieve(
        self, study: ArchivedStudy, series: Sequence[ArchivedSeries], tell: Callable[[], None]
    ) -> tuple[str, ...]:
        """Ask for what is missing until nothing is missing, at most `attempts` times; return the last failures."""
        failures: tuple[str, ...] = ()
        for attempt in range(self._attempts):
            wanted = self._missing(study, series)
            if not wanted:
                return ()
            if attempt:
                log.info("fetch_repeated", source=self._source.name, missing=len(wanted), failures=failures)
                time.sleep(self._pause_s * 2 ** (attempt - 1))
            try:
                failures = tuple(self._source.retrieve(study, wanted, self._intake.accept, tell))
            except TransientError as error:
                failures = (str(error),)
            self._wait_for_receiver(study, series)
        return failures if self._missing(study, series) else ()

    def _wait_for_receiver(self, study: ArchivedStudy, series: Sequence[ArchivedSeries]) -> None:
        deadline = time.monotonic() + ARRIVAL_S
        while self._missing(study, series) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _missing(self, study: ArchivedStudy, series: Sequence[ArchivedSeries]) -> list[ArchivedSeries]:
        """Return the series that are not whole, each with its missing instances if only some are missing."""
        have = self._recorded(study)
        wanted = []
        for one in series:
            stored = have.get(one.series_instance_uid, set())
            if _stored_of(one, stored) < one.expected:
                missing = tuple(uid for uid in one.sop_instance_uids if uid not in stored)
                partly = missing if len(missing) < len(one.sop_instance_uids) else ()
                wanted.append(replace(one, sop_instance_uids=partly))
        return wanted

    def _stored(self, study: ArchivedStudy, series: Sequence[ArchivedSeries]) -> int:
        have = self._recorded(study)
        return sum(_stored_of(one, have.get(one.series_instance_uid, set())) for one in series)

    def _recorded(self, study: ArchivedStudy) -> dict[str, set[str]]:
        """Return the SOP Instance UIDs that the node has of the study, by Series Instance UID."""
        with self._reading() as session:
            known = studies.get(session, study.study_instance_uid)
        found: dict[str, set[str]] = {}
        for instance in known.instances if known is not None else ():
            found.setdefault(instance.series_instance_uid, set()).add(instance.sop_instance_uid)
        return found


def _stored_of(series: ArchivedSeries, stored: set[str]) -> int:
    """Return how many of the instances that the archive has of a series are stored."""
    if len(series.sop_instance_uids) < series.expected:
        return min(len(stored), series.expected)
    return len(stored.intersection(series.sop_instance_uids))


def said(outcome: FetchOutcome) -> str:
    """Return the outcome in words."""
    of = f"{outcome.stored} of {counted(outcome.expected, 'instance')} stored, {outcome.new} new"
    return of if outcome.is_complete else f"{of}; {outcome.expected - outcome.stored} missing"


def shortfall(outcome: FetchOutcome, most_failures: int | None = None) -> str:
    """Return what is missing and the failures, or so many of them, in words; empty if the study is complete."""
    return "" if outcome.is_complete else f"{said(outcome)}. {' '.join(outcome.failures[:most_failures])}".strip()
