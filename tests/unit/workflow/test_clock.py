"""Recovery after the clock was set back."""

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import jobs
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.workflow.assemble.submit import ring_waiting_jobs
from glam_node.node.workflow.operate.recovery import shorten_impossible_waits
from tests.unit.workflow.workbench import ASSEMBLY, LEASE_S, RETRY_DELIVERIES, RETRY_JOBS, Archive, Workbench, down

HOUR_S = 3600.0


class Bell(JobQueue):
    """A queue that remembers the announced jobs."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str, priority: Priority) -> None:  # noqa: ARG002 - all are of the day
        """Remember one more job."""
        self.rung.append(job_id)


def follow(bench: Workbench) -> int:
    with bench.sessions.begin() as session:
        return shorten_impossible_waits(
            session,
            bench.clock(),
            lease_time_s=LEASE_S,
            inference_policy=RETRY_JOBS,
            delivery_policy=RETRY_DELIVERIES,
        )


def ring(bench: Workbench) -> list[str]:
    bell = Bell()
    with bench.sessions() as session:
        ring_waiting_jobs(session, bell, Priority.SCREENING, bench.clock())
    return bell.rung


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
    assert ring(bench) == [job.job_id]
    bench.clock.turn(-HOUR_S)
    assert ring(bench) == []
    assert follow(bench) == 2
    assert ring(bench) == [job.job_id]
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


def test_waits_within_their_limits_are_not_shortened(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive(answer=down))
    bench.receive(exam[0])
    bench.clock.turn(-1)
    assert follow(bench) == 0
