"""Storage commitment for results; each request has a Transaction UID of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import deliveries
from glam_node.node.domain.commitment import CommitmentReply, Failure, Reference
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy, TakeReply, commit_results, take_report
from tests.unit.workflow.workbench import Archive, Workbench

HOUR_S = 3600.0
RESULTS = 3
POLICY = CommitmentPolicy({"archive": "ARCHIVE"}, timedelta(seconds=HOUR_S), maximum_requests=2)


@dataclass
class Committing:
    """An archive that takes requests and may reply on the same association."""

    answers: bool = False
    is_away: bool = False
    asked: list[tuple[str, Sequence[Reference]]] = field(default_factory=list)

    def ask(self, transaction_uid: str, references: Sequence[Reference], heard: TakeReply) -> None:
        """Accept an N-ACTION."""
        if self.is_away:
            raise TransientError("ARCHIVE at 127.0.0.1:104 cannot be reached: connection refused.")
        self.asked.append((transaction_uid, references))
        if self.answers:
            heard(CommitmentReply(transaction_uid, references, []))


@pytest.fixture
def stored(bench: Workbench, exam: list[Dataset]) -> Workbench:
    """Return a node whose results are in the archive."""
    bench.run(bench.submitted(*exam))
    assert bench.deliver(Archive()) == RESULTS
    return bench


def ask(bench: Workbench, archive: Committing) -> int:
    return commit_results(bench.sessions, "archive", archive.ask, POLICY, bench.clock())


def report(bench: Workbench, report: CommitmentReply, calling_ae_title: str = "ARCHIVE") -> None:
    with bench.sessions.begin() as session:
        take_report(session, calling_ae_title, report, POLICY, bench.clock())


def of_study(bench: Workbench) -> list[Delivery]:
    with bench.sessions() as session:
        return deliveries.of_study(session, bench.study().study_instance_uid)


def states(bench: Workbench) -> set[DeliveryState]:
    return {delivery.state for delivery in of_study(bench)}


def test_stored_results_are_asked_for_once(stored: Workbench) -> None:
    archive = Committing()
    assert (ask(stored, archive), ask(stored, archive)) == (RESULTS, 0)
    ((_, references),) = archive.asked
    assert {one.sop_instance_uid for one in references} == {one.sop_instance_uid for one in of_study(stored)}


def test_a_reply_on_the_same_association_commits(stored: Workbench) -> None:
    ask(stored, Committing(answers=True))
    assert states(stored) == {DeliveryState.COMMITTED}


def test_a_reply_on_an_association_of_its_own_commits_and_may_come_twice(stored: Workbench) -> None:
    archive = Committing()
    ask(stored, archive)
    ((uid, references),) = archive.asked
    for _ in range(2):
        report(stored, CommitmentReply(uid, references, []))
    assert states(stored) == {DeliveryState.COMMITTED}


def test_a_refused_result_is_sent_again_and_asked_for_with_another_transaction_uid(stored: Workbench) -> None:
    archive = Committing()
    ask(stored, archive)
    ((uid, references),) = archive.asked
    report(stored, CommitmentReply(uid, references[1:], [Failure(references[0], 0x0112)]))
    assert stored.deliver(Archive()) == 1
    assert ask(stored, archive) == 1
    assert archive.asked[1][0] != uid
    assert archive.asked[1][1] == [references[0]]


def test_a_result_that_is_never_committed_is_given_up_with_the_reason(stored: Workbench) -> None:
    archive = Committing()
    for _ in range(POLICY.maximum_requests):
        ask(stored, archive)
        uid, references = archive.asked[-1]
        report(stored, CommitmentReply(uid, [], [Failure(one, 0x0110) for one in references]))
        stored.deliver(Archive())
    assert states(stored) == {DeliveryState.ABANDONED}
    assert of_study(stored)[0].failure == (
        "The archive replied 0x0110 to the request for storage commitment, 2 times. "
        "Check the archive's log, then run glam-node study retry."
    )


def test_a_result_without_a_reply_in_time_is_sent_again(stored: Workbench) -> None:
    archive = Committing()
    ask(stored, archive)
    stored.clock.turn(HOUR_S - 1)
    assert ask(stored, archive) == 0
    stored.clock.turn(1)
    ask(stored, archive)
    assert states(stored) == {DeliveryState.PENDING}


def test_a_late_reply_is_refused(stored: Workbench) -> None:
    archive = Committing()
    ask(stored, archive)
    stored.clock.turn(HOUR_S)
    ask(stored, archive)
    uid, references = archive.asked[0]
    with pytest.raises(PermanentError, match="no request to ARCHIVE"):
        report(stored, CommitmentReply(uid, references, []))


def test_a_reply_of_another_peer_is_refused(stored: Workbench) -> None:
    archive = Committing()
    ask(stored, archive)
    uid, references = archive.asked[0]
    with pytest.raises(PermanentError, match="no request to MODALITY"):
        report(stored, CommitmentReply(uid, references, []), "MODALITY")
    assert states(stored) == {DeliveryState.STORED}


def test_an_archive_that_is_away_is_asked_again_with_another_transaction_uid(stored: Workbench) -> None:
    archive = Committing(is_away=True)
    assert ask(stored, archive) == 0
    assert {(one.transaction_uid, one.transaction_count) for one in of_study(stored)} == {("", 0)}
    archive.is_away = False
    assert ask(stored, archive) == 0, "not at once"
    stored.clock.turn(30)
    assert ask(stored, archive) == RESULTS
