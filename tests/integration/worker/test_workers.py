"""Worker processes on a real Redis: every job is run once, whatever is lost meanwhile."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psutil
import pytest
import redis
from pydicom.dataset import Dataset
from sqlalchemy import delete

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, jobs, workers
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.worker import Worker
from glam_node.node.run import supervisor
from glam_node.node.run.dispatcher import tick
from glam_node.node.run.supervisor import Child
from glam_node.node.worker.broker import messages_waiting
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue
from glam_node.node.workflow.assemble.submit import ANNOUNCE_AGAIN_AFTER
from tests.integration.modality import MODALITY, send, small_exam
from tests.integration.node_directory import THRESHOLD, NodeDirectory, all_ready, write_node
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("redis-server")


HELD = "tests.integration.worker.predictors:HeldPredictor"
ONE_DEVICE = "tests.integration.worker.predictors:OneDevicePredictor"
_seeds = count()


@dataclass(frozen=True)
class Road:
    """A node whose receiver and dispatcher run; a test sends studies of its own and brings the workers."""

    directory: NodeDirectory
    port: int
    redis_url: str
    node: Node
    sent: list[str] = field(default_factory=list)
    """Studies of this test, oldest first."""

    def send(self, calling_ae_title: str = MODALITY) -> list[Dataset]:
        """Send a new study."""
        exam = small_exam(next(_seeds))
        send(self.port, exam, calling_ae_title=calling_ae_title)
        self.sent.append(exam[0].StudyInstanceUID)
        return exam

    def workers(
        self, number: int = 1, predictor: str = THRESHOLD, **environment: str
    ) -> AbstractContextManager[list[Child]]:
        """Start worker processes with that predictor, and wait until they are ready."""
        names = ["worker"] * number
        return self.directory.running(*names, GLAM_NODE__INFERENCE__PREDICTOR=predictor, **environment)

    def jobs(self) -> list[InferenceJob]:
        """Return the jobs of this test's studies."""
        with self.node.sessions() as session:
            return [job for uid in self.sent for job in jobs.of_study(session, uid)]

    def states(self) -> dict[JobState, int]:
        """Return the number of jobs by state."""
        return Counter(job.state for job in self.jobs())

    def starts(self) -> Counter[str]:
        """Return the number of starts of each study's job."""
        with self.node.sessions() as session:
            started = audit.recent(session, EventKind.JOB_STARTED, 1000)
        return Counter(event.study_instance_uid for event in started if event.study_instance_uid in self.sent)

    def known_workers(self) -> list[Worker]:
        """Return the registered workers."""
        with self.node.sessions() as session:
            return workers.list_all(session)

    def clear(self) -> None:
        """Remove everything that waits for the workers of the next test."""
        with self.node.sessions.begin() as session:
            session.execute(delete(JobRow).where(JobRow.state.in_([JobState.PENDING, JobState.RUNNING])))
            workers.remove_unseen(session, datetime.now(UTC) + timedelta(days=1))
        with closing(redis.from_url(self.redis_url)) as client:
            client.flushall()


@pytest.fixture(scope="module")
def running_node(_session_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Start the processes of the node once for all tests."""
    directory = write_node(tmp_path_factory.mktemp("node"), broker_url=_session_redis)
    with directory.settings_path.open("a") as file:
        file.write('[peers.old]\nae_title = "OLD"\npriority = "backfill"\n')
        file.write('[peers.clinic]\nae_title = "CLINIC"\npriority = "urgent"\n')
    with directory.running("receiver", "dispatcher") as (receiver, _):
        yield Road(directory, int(receiver.word or 0), _session_redis, directory.build())


@pytest.fixture
def road(running_node: Road, redis_url: str) -> Iterator[Road]:
    """Return the node, with nothing to do."""
    road = replace(running_node, sent=[])
    yield road
    road.clear()


@pytest.fixture(autouse=True)
def _started_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start crashed processes again at once; test_supervisor covers the delay."""
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_S", 0.1)


def is_announced(node: Node, queue: CeleryQueue, redis_url: str) -> bool:
    """Run one round of the dispatcher, and return whether it has sent a message."""
    tick(node, queue, datetime.now(UTC))
    return messages_waiting(redis_url) == 1


def test_two_workers_run_every_job_once(road: Road) -> None:
    with road.workers(2):
        for _ in range(8):
            road.send()
        wait_until(lambda: road.states() == {JobState.SUCCEEDED: 8})
    assert set(road.starts().values()) == {1}


def test_a_job_whose_message_was_lost_is_announced_again(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(tmp_path, broker_url=redis_url)
    node, queue = directory.build(), CeleryQueue(create_app(redis_url))
    with directory.running("receiver") as [receiver]:
        send(int(receiver.word or 0), small_exam(1))
    wait_until(lambda: is_announced(node, queue, redis_url))
    with closing(redis.from_url(redis_url)) as client:
        client.flushall()
    with directory.running("worker"):
        tick(node, queue, datetime.now(UTC) + ANNOUNCE_AGAIN_AFTER)
        wait_until(lambda: _succeeded(node) == 1)


def _succeeded(node: Node) -> int:
    with node.sessions() as session:
        return jobs.counts_by_state(session).get(JobState.SUCCEEDED, 0)


def test_the_job_of_a_killed_worker_is_done_by_another(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    with road.workers(predictor=HELD, HOLD=str(hold)) as [doomed]:
        road.send()
        wait_until(lambda: road.states() == {JobState.RUNNING: 1})
        [held], [told] = road.jobs(), road.known_workers()
        with road.workers():
            os.kill(doomed.pid, signal.SIGKILL)
            wait_until(lambda: road.states() == {JobState.SUCCEEDED: 1})
    assert set(road.starts().values()) == {2}
    assert (told.name, told.process_id) == (held.lease_owner, doomed.pid)
    assert told.resident_bytes > 50_000_000
    # The other worker stopped properly; the entry of this one is removed by its successor or after a day.
    assert [one.name for one in road.known_workers()] == [told.name]


def test_a_worker_that_lost_its_device_is_replaced_and_the_job_waits(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    predictor = "tests.integration.worker.predictors:LostDevicePredictor"
    with road.workers(predictor=predictor, HOLD=str(hold)) as processes:
        first = processes[0].pid
        road.send()
        wait_until(lambda: all_ready(processes) and processes[0].pid != first)
    assert road.states() == {JobState.PENDING: 1}


def test_studies_that_end_their_workers_are_set_aside_and_the_others_are_read(road: Road) -> None:
    poisoned, hungry = road.send(), road.send()
    road.send()
    poison = {"POISON": poisoned[0].SOPInstanceUID, "HUNGRY": hungry[0].SOPInstanceUID}
    with road.workers(predictor="tests.integration.worker.predictors:PoisonedPredictor", **poison) as children:

        def are_settled() -> bool:
            all_ready(children)
            return road.states() == {JobState.FAILED: 2, JobState.SUCCEEDED: 1}

        wait_until(are_settled, seconds=200)
        begun = road.starts()
        time.sleep(1.0)
        assert road.starts() == begun, "they are tried again"
    reasons = {job.study_instance_uid: job.failure for job in road.jobs() if job.state is JobState.FAILED}
    assert "3 worker processes died while they ran this job" in reasons[poisoned[0].StudyInstanceUID]
    assert "Out of memory" in reasons[hungry[0].StudyInstanceUID]
    assert "It failed the same way in a fresh worker process." in reasons[hungry[0].StudyInstanceUID]
    assert [begun[exam[0].StudyInstanceUID] for exam in (poisoned, hungry)] == [3, 2]


def test_a_deaf_worker_is_replaced(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    predictor = "tests.integration.worker.predictors:DeafPredictor"
    with road.workers(predictor=predictor, HOLD=str(hold)) as children:
        deaf = children[0].pid
        road.send()
        wait_until(lambda: messages_waiting(road.redis_url) > 0)
        hold.unlink()

        def is_done() -> bool:
            all_ready(children)
            return road.states() == {JobState.SUCCEEDED: 1}

        wait_until(is_done, seconds=100)
        assert children[0].pid != deaf


def test_urgent_jobs_come_next_and_old_studies_last(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    with road.workers(predictor=HELD, HOLD=str(hold)) as [worker]:
        for sender in ("OLD", "OLD", "MODALITY", "CLINIC"):
            road.send(sender)
            wait_until(lambda: len(road.jobs()) == len(road.sent))
        wait_until(lambda: messages_waiting(road.redis_url) == 3)
        with closing(redis.from_url(road.redis_url)) as client:
            assert client.hlen("unacked") == 1, "one message is taken at a time, and acknowledged after the work"
        assert psutil.Process(worker.pid).children() == [], "nothing is forked"
        hold.unlink()
        wait_until(lambda: road.states() == {JobState.SUCCEEDED: 4})
    with road.node.sessions() as session:
        started = [event.study_instance_uid for event in audit.recent(session, EventKind.JOB_STARTED, 4)]
    order = road.sent
    assert started[::-1] == [order[0], order[3], order[2], order[1]]


@contextmanager
def two_in_progress(road: Road, hold: Path) -> Iterator[Child]:
    """Run a worker with one study on its device, one ahead and a third waiting, until they are released."""
    hold.touch()
    with road.workers(predictor=ONE_DEVICE, HOLD=str(hold)) as [worker]:
        for _ in range(3):
            road.send()
        wait_until(lambda: road.states() == {JobState.RUNNING: 2, JobState.PENDING: 1})
        yield worker


def test_a_worker_takes_one_study_ahead_and_keeps_the_leases_of_both(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    with two_in_progress(road, hold):
        with road.workers():
            wait_until(lambda: road.states() == {JobState.RUNNING: 2, JobState.SUCCEEDED: 1})
            # Longer than a lease
            time.sleep(4)
            assert road.states() == {JobState.RUNNING: 2, JobState.SUCCEEDED: 1}
        hold.unlink()
        wait_until(lambda: road.states() == {JobState.SUCCEEDED: 3})
    assert set(road.starts().values()) == {1}


def test_a_worker_that_stops_ends_both_of_its_jobs_and_begins_no_third(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    with two_in_progress(road, hold) as worker:
        os.kill(worker.pid, signal.SIGTERM)
        hold.unlink()
        wait_until(lambda: road.states() == {JobState.SUCCEEDED: 2, JobState.PENDING: 1})
    assert road.states() == {JobState.SUCCEEDED: 2, JobState.PENDING: 1}


def test_a_worker_ends_its_jobs_before_it_starts_with_other_settings(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WORKER_GRACE_S", 0.1)
    hold = tmp_path / "hold"
    with two_in_progress(road, hold) as worker:
        pid = worker.pid
        worker.take_settings(worker.environment)
        time.sleep(1)  # a worker that stops with the node would be killed now
        worker.look()
        assert (worker.pid, road.states()) == (pid, {JobState.RUNNING: 2, JobState.PENDING: 1})
        hold.unlink()

        def is_done() -> bool:
            worker.look()
            return road.states() == {JobState.SUCCEEDED: 3}

        wait_until(is_done)
        assert worker.pid != pid
    assert set(road.starts().values()) == {1}


def test_both_jobs_of_a_killed_worker_are_done_one_after_the_other(road: Road, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    with two_in_progress(road, hold) as worker:
        lost = {job.study_instance_uid for job in road.jobs() if job.state is JobState.RUNNING}
        os.kill(worker.pid, signal.SIGKILL)
        hold.unlink()
        with road.workers(predictor=ONE_DEVICE, HOLD=str(hold)):
            wait_until(lambda: road.states() == {JobState.SUCCEEDED: 3})
    assert {uid: count for uid, count in road.starts().items() if count == 2}.keys() == lost
    spans = sorted((job.started_at, job.finished_at) for job in road.jobs() if job.study_instance_uid in lost)
    (_, first_ended), (second_began, _) = spans
    assert first_ended is not None
    assert second_began is not None
    assert first_ended <= second_began, "what may have ended a process runs alone"
