"""Delivery to archives that behave oddly, over real associations and with a clock that the test turns."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from glam_node.node.db import deliveries, destinations, jobs, migrate, studies
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.send_results import deliver_due
from tests.builders import NOW, STUDY_UID, delivery, sop_instance
from tests.integration.archive import Archive, listening, warning
from tests.integration.scu.conftest import COMPREHENSIVE_SR_STORAGE, SEGMENTATION_STORAGE, Outgoing, peer_at

POLICY = RetryPolicy(initial_delay_s=5, multiplier=2, maximum_delay_s=900, maximum_attempts=1000)


@dataclass
class Sender:
    """A sender with its own database, whose clock stands still until it is turned."""

    sessions: SessionFactory
    store: InstanceStore
    write: Outgoing
    job_id: str
    time: datetime = NOW
    timeout: float = 5.0
    queued: list[str] = field(default_factory=list)

    def queue(self, *sop_class_uids: str) -> list[Path]:
        """Queue an object of each class in this order, and return their files."""
        written = [self.write(uid) for uid in sop_class_uids]
        rows = [
            delivery(
                job_id=self.job_id,
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
                path=str(one.path.relative_to(self.store.root)),
                created_at=self.time + timedelta(milliseconds=number),
                next_attempt_at=self.time,
            )
            for number, one in enumerate(written)
        ]
        with self.sessions.begin() as session:
            deliveries.add_missing(session, rows)
        return [one.path for one in written]

    def rounds(self, archive: Archive, count: int = 1) -> None:
        """Let the sender work for this number of rounds without a change of the clock."""
        destination = CStoreDestination(peer_at(archive.port, timeout=self.timeout))
        for _ in range(count):
            deliver_due(self.sessions, self.store, {"archive": destination}, POLICY, lambda: self.time, {})

    def turn(self, seconds: float) -> None:
        """Turn the clock forward."""
        self.time += timedelta(seconds=seconds)

    def rows(self) -> list[Delivery]:
        """Return all deliveries, the oldest first."""
        with self.sessions() as session:
            return deliveries.of_study(session, STUDY_UID)

    def states(self) -> list[DeliveryState]:
        """Return the states of all deliveries, the oldest first."""
        return [one.state for one in self.rows()]


@pytest.fixture
def sender(tmp_path: Path, outgoing: Outgoing) -> Iterator[Sender]:
    """Return a sender with an empty queue."""
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    migrate.upgrade(url)
    sessions = open_database(url)
    with sessions.begin() as session:
        studies.add_instance(session, sop_instance("R CC"), StudyAttributes())
        job_id = jobs.add(session, STUDY_UID, ["2.25.1"], "digest", NOW).job_id
    yield Sender(sessions, InstanceStore(tmp_path), outgoing, job_id)
    sessions.kw["bind"].dispose()


SEG, SR = SEGMENTATION_STORAGE, COMPREHENSIVE_SR_STORAGE
PENDING, STORED = DeliveryState.PENDING, DeliveryState.STORED


def test_an_archive_that_aborts_on_segmentations_gets_everything_else_at_once(sender: Sender, archive: Archive) -> None:
    archive.abort_on = frozenset({SEG})
    sender.queue(SEG, SEG, SR, SR, SEG, SR)
    sender.rounds(archive, 6)
    assert sender.states() == [PENDING, PENDING, STORED, STORED, PENDING, STORED]
    assert [one.attempt for one in sender.rows()] == [1, 1, 1, 1, 1, 1]
    assert [one.alone for one in sender.rows()] == [True, True, False, False, True, False]
    archive.abort_on = frozenset()
    sender.turn(5)
    sender.rounds(archive, 4)
    assert sender.states() == [STORED] * 6


def test_an_archive_of_one_object_an_association_gets_all_in_order_without_a_wait(
    sender: Sender, archive: Archive
) -> None:
    archive.an_association = 1
    sender.queue(SEG, SR, SEG, SR, SEG, SR, SEG, SR, SR)
    sender.rounds(archive, 9)
    assert sender.states() == [STORED] * 9
    assert archive.uids() == [one.sop_instance_uid for one in sender.rows()]
    assert {one.attempt for one in sender.rows()} == {1}


def test_an_object_that_fails_goes_after_those_that_come_later_and_by_itself(sender: Sender, archive: Archive) -> None:
    archive.abort_on = frozenset({SEG})
    sender.queue(SEG)
    sender.rounds(archive)
    sender.turn(5)
    sender.queue(SR, SR)
    archive.abort_on = frozenset()
    sender.rounds(archive, 2)
    assert sender.states() == [STORED] * 3
    assert [received.sop_class_uid for received in archive.received] == [SR, SR, SEG]
    assert len({received.association for received in archive.received}) == 2


def test_a_backlog_goes_out_as_soon_as_the_archive_is_back(sender: Sender) -> None:
    sender.queue(*[SR] * 45)
    with listening(Archive()) as archive:
        port = archive.port
    archive.port = port
    for _ in range(12):  # 5, 10, 20, then every 30 seconds
        sender.rounds(archive, 2)
        sender.turn(30)
    assert sender.states() == [PENDING] * 45
    with sender.sessions() as session:
        calls = destinations.calls(session)["archive"]
    assert (calls.failed_at, calls.next_call_at) == (sender.time - timedelta(seconds=30), sender.time)
    assert sum(one.attempt > 0 for one in sender.rows()) == 20
    with listening(archive):
        sender.rounds(archive, 3)
    assert sender.states() == [STORED] * 45


def test_calls_between_two_attempts_do_not_count(sender: Sender) -> None:
    sender.queue(SR)
    with listening(Archive()) as archive:
        pass
    for _ in range(120):
        sender.rounds(archive)
        sender.turn(30)
    # 0, 5, 15, 35, 75, 155, 315, 635, 1275, 2175, 3075 s, each as soon as a call comes after it
    assert sender.rows()[0].attempt == 11


def test_results_that_a_full_archive_refused_are_sent_once_it_accepts_the_next(
    sender: Sender, archive: Archive
) -> None:
    sender.queue(*[SR] * 3)
    for _ in range(8):
        archive.statuses = [0xA700] * 3
        sender.rounds(archive)
        sender.turn(900)
    sender.turn(-890)
    sender.rounds(archive)
    assert sender.states() == [PENDING] * 3
    archive.statuses = []
    sender.queue(SR)
    sender.rounds(archive, 2)
    assert sender.states() == [STORED] * 4


def test_results_without_their_files_delay_no_others_and_are_sent_once_the_files_are_back(
    sender: Sender, archive: Archive, tmp_path: Path
) -> None:
    away, _ = sender.queue(SR, SR)
    kept = away.rename(tmp_path / "elsewhere")
    for _ in range(6):
        sender.rounds(archive, 2)
        sender.turn(900)
    assert sender.states() == [PENDING, STORED]
    assert "cannot be read: no such file or directory" in sender.rows()[0].failure
    kept.rename(away)
    sender.rounds(archive)
    assert sender.states() == [STORED, STORED]


def test_a_warning_stays_with_the_delivery(sender: Sender, archive: Archive) -> None:
    archive.statuses = [warning(0xB006, "private elements")]
    sender.queue(SR, SR)
    sender.rounds(archive)
    assert [one.warning for one in sender.rows()] == ["0xB006 (stored, elements discarded): private elements", ""]
