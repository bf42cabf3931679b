"""Recovery after the clock was set back."""

from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import alerts, commitments, jobs
from glam_node.node.domain.alert import Alert, AlertMessage
from glam_node.node.domain.commitment import CommitmentReply, Reference
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.errors import TransientError
from glam_node.node.workflow.assemble.submit import announce_waiting_jobs
from glam_node.node.workflow.deliver.answer_commitments import SendReply, answer_commitments
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy, commit_results
from glam_node.node.workflow.operate.recovery import shorten_impossible_waits
from glam_node.node.workflow.record.alerts import send_alerts
from tests.unit.workflow.workbench import ASSEMBLY, LEASE_S, RETRY_DELIVERIES, RETRY_JOBS, Archive, Workbench, down

HOUR_S = 3600.0
COMMITMENTS = CommitmentPolicy({"archive": "ARCHIVE"}, timedelta(minutes=10), 5)


class Announcements(JobQueue):
    """A queue that remembers the announced jobs."""

    def __init__(self) -> None:
        self.announced: list[str] = []

    def announce(self, job_id: str, priority: Priority) -> None:  # noqa: ARG002 - all are of the day
        """Remember one more job."""
        self.announced.append(job_id)


def follow(bench: Workbench) -> int:
    with bench.sessions.begin() as session:
        return shorten_impossible_waits(
            session,
            bench.clock(),
            lease_time_s=LEASE_S,
            inference_policy=RETRY_JOBS,
            delivery_policy=RETRY_DELIVERIES,
            commitment_policy=COMMITMENTS,
        )


def announce(bench: Workbench) -> list[str]:
    queue = Announcements()
    with bench.sessions() as session:
        announce_waiting_jobs(session, queue, Priority.SCREENING, bench.clock())
    return queue.announced


@pytest.mark.parametrize("back_s", [HOUR_S, 10])
def test_an_arriving_study_is_complete_when_it_has_been_quiet_by_the_new_clock(
    bench: Workbench, exam: list[Dataset], back_s: float
) -> None:
    bench.receive(*exam)
    bench.clock.turn(-back_s)
    assert follow(bench) == 1
    bench.clock.turn(ASSEMBLY.settle_time_s)
    assert len(bench.dispatch()) == 1


def test_a_job_that_nobody_had_taken_is_announced_and_run(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(exam[0])
    assert announce(bench) == [job.job_id]
    bench.clock.turn(-HOUR_S)
    assert announce(bench) == []
    assert follow(bench) == 2
    assert announce(bench) == [job.job_id]
    assert bench.run(job)


def test_the_job_of_a_worker_that_is_gone_does_not_wait_for_the_old_clock(
    bench: Workbench, exam: list[Dataset]
) -> None:
    job = bench.submitted(exam[0])
    with bench.sessions.begin() as session:
        assert jobs.claim(session, job.job_id, owner="gone", now=bench.clock(), lease_s=LEASE_S, maximum_attempts=3)
    bench.clock.turn(-HOUR_S)
    assert not bench.run(job)
    assert follow(bench) == 1
    bench.clock.turn(1)
    assert bench.run(job)
    assert bench.job().state is JobState.SUCCEEDED


@pytest.mark.parametrize("tries", [0, 1])
def test_results_that_wait_for_an_archive_do_not_wait_for_the_old_clock(
    bench: Workbench, exam: list[Dataset], tries: int
) -> None:
    bench.run(bench.submitted(exam[1]))
    for _ in range(tries):
        bench.deliver(Archive(answer=down))
    bench.clock.turn(-HOUR_S)
    assert bench.deliver(Archive()) == 0
    assert follow(bench) == 2
    assert bench.deliver(Archive()) == 2


def test_stored_results_are_asked_for_by_the_new_clock(bench: Workbench, exam: list[Dataset]) -> None:
    def ask(transaction_uid: str, _references: object, _take: object) -> None:
        asked.append(transaction_uid)

    asked: list[str] = []
    bench.run(bench.submitted(exam[1]))
    assert bench.deliver(Archive()) == 2
    bench.clock.turn(-HOUR_S)
    assert commit_results(bench.sessions, "archive", ask, COMMITMENTS, bench.clock()) == 0
    follow(bench)
    assert commit_results(bench.sessions, "archive", ask, COMMITMENTS, bench.clock()) == 2
    bench.clock.turn(-HOUR_S)
    assert follow(bench) == 2
    bench.clock.turn(599)
    assert bench.deliver(Archive()) == 0
    assert commit_results(bench.sessions, "archive", ask, COMMITMENTS, bench.clock()) == 0
    bench.clock.turn(1)
    commit_results(bench.sessions, "archive", ask, COMMITMENTS, bench.clock())
    assert bench.deliver(Archive()) == 2


@pytest.mark.parametrize("is_away", [False, True])
def test_replies_to_peers_do_not_wait_for_the_old_clock(bench: Workbench, is_away: bool) -> None:
    def hear(_reply: CommitmentReply) -> None:
        if is_away:
            raise TransientError("PACS does not answer.")

    def answer(send: SendReply) -> int:
        return answer_commitments(bench.sessions, bench.store, {"PACS": send}, RETRY_DELIVERIES, bench.clock)

    with bench.sessions.begin() as session:
        commitments.add(session, "PACS", "2.25.5", [Reference("1.2.3", "2.25.6")], bench.clock())
    if is_away:
        assert answer(hear) == 0
    bench.clock.turn(-HOUR_S)
    assert answer(lambda _: None) == 0
    assert follow(bench) == 1
    assert answer(lambda _: None) == 1


def test_alerts_do_not_wait_for_the_old_clock(bench: Workbench) -> None:
    with bench.sessions.begin() as session:
        alerts.begin(session, Alert("disk_low", "", "fact", "action"), ("mail",), bench.clock())
    bench.clock.turn(-HOUR_S)
    sent: list[AlertMessage] = []
    assert send_alerts(bench.sessions, {"mail": sent.append}, bench.clock) == 0
    assert follow(bench) == 1
    assert send_alerts(bench.sessions, {"mail": sent.append}, bench.clock) == 1


def test_waits_within_their_limits_are_not_shortened(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive(answer=down))
    bench.receive(exam[0])
    bench.clock.turn(-1)
    assert follow(bench) == 0
