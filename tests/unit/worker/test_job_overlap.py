"""Job overlap: one job and no more is started ahead, and a job that was started before runs alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery.exceptions import Reject

from glam_node.node.worker.job_overlap import JobOverlap

WAIT_S = 10.0


class Jobs:
    """Jobs that last until they are released."""

    def __init__(self, tried: frozenset[str] = frozenset(), failing: frozenset[str] = frozenset()) -> None:
        self.tried = tried
        self.failing = failing
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._changed = threading.Condition()
        self._released: set[str] = set()

    def run(self, job_id: str) -> None:
        with self._changed:
            self.begun.append(job_id)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: job_id in self._released, WAIT_S)
            self.ended.append(job_id)
            self._changed.notify_all()
        if job_id in self.failing:
            raise RuntimeError("broken")

    def release(self, *job_ids: str) -> None:
        with self._changed:
            self._released |= set(job_ids)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, WAIT_S)


@contextmanager
def taking(jobs: Jobs, *job_ids: str, places: int = 2, stop: threading.Event | None = None) -> Iterator[list[object]]:
    """Run a worker that takes these jobs one after the other; yield the jobs that it could not start."""
    overlap = JobOverlap(jobs.run, lambda job_id: job_id in jobs.tried, stop or threading.Event(), places)
    refused: list[object] = []

    def take() -> None:
        for job_id in job_ids:
            try:
                overlap.begin(job_id)
            except Reject as rejection:
                refused.append((job_id, rejection.requeue))

    thread = threading.Thread(target=take)
    thread.start()
    yield refused
    jobs.release(*job_ids)
    thread.join(WAIT_S)
    overlap.finish()
    assert len(jobs.ended) + len(refused) == len(job_ids), "finish waits for all"


def test_one_job_and_no_more_is_started_ahead() -> None:
    jobs = Jobs()
    with taking(jobs, "a", "b", "c"):
        assert jobs.wait(lambda: jobs.begun == ["a", "b"])
        assert not jobs.ended
        jobs.release("b")
        assert jobs.wait(lambda: jobs.begun == ["a", "b", "c"])
        assert jobs.ended == ["b"]


def test_a_job_that_fails_harms_no_other() -> None:
    jobs = Jobs(failing=frozenset("a"))
    with taking(jobs, "a", "b", "c"):
        jobs.release("a")
        assert jobs.wait(lambda: set(jobs.begun) == {"a", "b", "c"})


def test_a_job_that_was_begun_before_runs_alone() -> None:
    jobs = Jobs(tried=frozenset("b"))
    with taking(jobs, "a", "b", "c"):
        assert jobs.wait(lambda: jobs.begun == ["a"])
        jobs.release("a")
        assert jobs.wait(lambda: jobs.begun == ["a", "b"])
        assert jobs.ended == ["a"]
        jobs.release("b")
        assert jobs.wait(lambda: jobs.begun == ["a", "b", "c"])


def test_a_job_ends_before_the_next_begins_with_one_place() -> None:
    jobs = Jobs()
    with taking(jobs, "a", "b", places=1):
        assert jobs.wait(lambda: jobs.begun == ["a"])
        jobs.release("a")
        assert jobs.wait(lambda: jobs.begun == ["a", "b"])
        assert jobs.ended == ["a"]


@pytest.mark.parametrize("tried", ["", "c"], ids=["beside", "alone"])
def test_a_worker_that_stops_puts_back_what_it_has_no_place_for(tried: str) -> None:
    jobs, stop = Jobs(tried=frozenset(tried)), threading.Event()
    with taking(jobs, "a", "b", "c", stop=stop) as refused:
        assert jobs.wait(lambda: jobs.begun == ["a", "b"])
        if tried:
            jobs.release("a")
            assert jobs.wait(lambda: jobs.ended == ["a"])
        stop.set()
        for _ in range(100):
            if refused:
                break
            threading.Event().wait(0.1)
        assert refused == [("c", True)]
    assert sorted(jobs.ended) == ["a", "b"]
