"""Worker processes on a real Redis: every job is run once, whatever is lost in between."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import redis
from sqlalchemy import select

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, jobs, workers
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.worker import Worker
from glam_node.node.run.dispatcher import tick
from glam_node.node.run.supervisor import Child
from glam_node.node.worker.broker import messages_waiting
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue
from glam_node.node.workflow.submit import RING_AGAIN_AFTER
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import all_ready, wait_until, write_node

pytestmark = pytest.mark.peer("redis-server")


def states(node: Node) -> dict[JobState, int]:
    """How many jobs are in which state."""
    with node.sessions() as session:
        return {state: count for state, count in jobs.counts_by_state(session).items() if count}


def starts(node: Node) -> Counter[str]:
    """How often each study's job was started."""
    with node.sessions() as session:
        return Counter(event.study_instance_uid for event in audit.recent(session, "job_started", 1000))


def is_announced(node: Node, queue: CeleryQueue, redis_url: str) -> bool:
    """Whether the dispatcher, looking now, has sent a message."""
    tick(node, queue, datetime.now(UTC))
    return messages_waiting(redis_url) == 1


def test_two_workers_run_every_job_once(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(tmp_path, broker_url=redis_url)
    with directory.running("receiver", "dispatcher", "worker", "worker") as (receiver, *_):
        for seed in range(8):
            send(int(receiver.word or 0), small_exam(seed))
        node = directory.build()
        wait_until(lambda: states(node) == {JobState.SUCCEEDED: 8})
    assert set(starts(node).values()) == {1}


def test_a_job_whose_message_was_lost_is_announced_again(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(tmp_path, broker_url=redis_url)
    node, queue = directory.build(), CeleryQueue(create_app(redis_url))
    with directory.running("receiver") as [receiver]:
        send(int(receiver.word or 0), small_exam(1))
    wait_until(lambda: is_announced(node, queue, redis_url))
    with closing(redis.from_url(redis_url)) as client:
        client.flushall()
    with directory.running("worker"):
        tick(node, queue, datetime.now(UTC) + RING_AGAIN_AFTER)
        wait_until(lambda: states(node) == {JobState.SUCCEEDED: 1})


def test_the_job_of_a_killed_worker_is_done_by_another(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(
        tmp_path, broker_url=redis_url, predictor="tests.integration.worker.predictors:HeldPredictor"
    )
    hold = tmp_path / "hold"
    hold.touch()
    with directory.running("receiver", "dispatcher") as (receiver, _):
        node = directory.build()
        with directory.running("worker", HOLD=str(hold)) as [doomed]:
            send(int(receiver.word or 0), small_exam(1))
            wait_until(lambda: states(node) == {JobState.RUNNING: 1})
            (held,), (told,) = seen(node)
            with directory.running("worker", HOLD=str(tmp_path / "nothing")):
                os.kill(doomed.pid, signal.SIGKILL)
                wait_until(lambda: states(node) == {JobState.SUCCEEDED: 1}, seconds=60)
    assert set(starts(node).values()) == {2}
    assert (told.name, told.process_id) == (held.lease_owner, doomed.pid)
    assert told.resident_bytes > 50_000_000
    # The other ended in order; this one's successor, or a day, takes it off the record.
    assert [one.name for one in seen(node)[1]] == [told.name]


def seen(node: Node) -> tuple[list[InferenceJob], list[Worker]]:
    """What runs, and which workers tell of themselves."""
    with node.sessions() as session:
        return jobs.running(session), workers.known(session)


def test_a_worker_that_lost_its_device_is_replaced_and_the_job_waits(redis_url: str, tmp_path: Path) -> None:
    predictor = "tests.integration.worker.predictors:LostDevicePredictor"
    directory = write_node(tmp_path, broker_url=redis_url, predictor=predictor)
    (tmp_path / "hold").touch()
    node = directory.build()
    with directory.running("receiver", "dispatcher", "worker", HOLD=str(tmp_path / "hold")) as processes:
        first = processes[2].pid
        send(int(processes[0].word or 0), small_exam(1))
        wait_until(lambda: all_ready(processes) and processes[2].pid != first)
    assert states(node) == {JobState.PENDING: 1}


def failures(node: Node) -> dict[str, str]:
    """Of each study whose job was given up."""
    with node.sessions() as session:
        given_up = session.scalars(select(JobRow).where(JobRow.state == JobState.FAILED))
        return {row.study_instance_uid: row.failure for row in given_up}


@pytest.mark.timeout(300)
def test_studies_that_end_their_workers_are_set_aside_and_the_others_are_read(redis_url: str, tmp_path: Path) -> None:
    predictor = "tests.integration.worker.predictors:PoisonedPredictor"
    directory = write_node(tmp_path, broker_url=redis_url, predictor=predictor)
    poisoned, hungry, good = (small_exam(seed) for seed in (91, 92, 93))
    environment = {"POISON": poisoned[0].SOPInstanceUID, "HUNGRY": hungry[0].SOPInstanceUID}
    node = directory.build()
    with directory.running("receiver", "dispatcher", "worker", **environment) as children:
        for exam in (poisoned, hungry, good):
            send(int(children[0].word or 0), exam)

        def are_settled() -> bool:
            all_ready(children)
            return states(node) == {JobState.FAILED: 2, JobState.SUCCEEDED: 1}

        wait_until(are_settled, seconds=200)
        begun = starts(node)
        time.sleep(1.0)
        assert starts(node) == begun, "they are tried again"
    reasons = failures(node)
    assert "3 workers ended without a word while they ran this job" in reasons[poisoned[0].StudyInstanceUID]
    assert "Out of memory" in reasons[hungry[0].StudyInstanceUID]
    assert "So it was in a new worker process, too." in reasons[hungry[0].StudyInstanceUID]
    assert [begun[exam[0].StudyInstanceUID] for exam in (poisoned, hungry)] == [3, 2]


def test_a_worker_that_hears_nothing_is_replaced_by_one_that_does(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(
        tmp_path, broker_url=redis_url, predictor="tests.integration.worker.predictors:DeafPredictor"
    )
    hold = tmp_path / "hold"
    hold.touch()
    node = directory.build()
    with directory.running("receiver", "dispatcher", "worker", HOLD=str(hold)) as children:
        deaf = children[2].pid
        send(int(children[0].word or 0), small_exam(94))
        wait_until(lambda: messages_waiting(redis_url) > 0)
        hold.unlink()

        def is_done() -> bool:
            all_ready(children)
            return states(node) == {JobState.SUCCEEDED: 1}

        wait_until(is_done, seconds=100)
        assert children[2].pid != deaf


def test_what_is_urgent_is_next_and_what_is_old_comes_last(redis_url: str, tmp_path: Path) -> None:
    directory = write_node(
        tmp_path, broker_url=redis_url, predictor="tests.integration.worker.predictors:HeldPredictor"
    )
    with directory.settings_path.open("a") as file:
        file.write('[peers.old]\nae_title = "OLD"\npriority = "backfill"\n')
        file.write('[peers.clinic]\nae_title = "CLINIC"\npriority = "urgent"\n')
    hold = tmp_path / "hold"
    hold.touch()
    with directory.running("receiver", "dispatcher", "worker", HOLD=str(hold)) as (receiver, _, worker):
        node = directory.build()
        order = []
        for number, sender in enumerate(["OLD", "OLD", "MODALITY", "CLINIC"]):
            exam = small_exam(number)
            send(int(receiver.word or 0), exam, calling_ae_title=sender)
            order.append(exam[0].StudyInstanceUID)
            wait_until(lambda: sum(states(node).values()) == len(order))
        wait_until(lambda: messages_waiting(redis_url) == 3)
        with closing(redis.from_url(redis_url)) as client:
            assert client.hlen("unacked") == 1, "one message is taken at a time, and acknowledged after the work"
        assert psutil.Process(worker.pid).children() == [], "nothing is forked"
        hold.unlink()
        wait_until(lambda: states(node) == {JobState.SUCCEEDED: 4}, seconds=60)
    with node.sessions() as session:
        started = [event.study_instance_uid for event in audit.recent(session, "job_started", 10)]
    assert started[::-1] == [order[0], order[3], order[2], order[1]]


ONE_DEVICE = "tests.integration.worker.predictors:OneDevicePredictor"


@contextmanager
def two_in_progress(redis_url: str, path: Path) -> Iterator[tuple[Node, Child]]:
    """A worker that has one study on its device, another one ahead, and a third waiting, until they are let go."""
    directory = write_node(path, broker_url=redis_url, predictor=ONE_DEVICE)
    hold = path / "hold"
    hold.touch()
    with directory.running("receiver", "dispatcher", "worker", HOLD=str(hold)) as (receiver, _, worker):
        for seed in range(3):
            send(int(receiver.word or 0), small_exam(seed))
        node = directory.build()
        wait_until(lambda: states(node) == {JobState.RUNNING: 2, JobState.PENDING: 1})
        yield node, worker


def test_a_worker_has_one_study_ahead_and_keeps_the_leases_of_both(redis_url: str, tmp_path: Path) -> None:
    with two_in_progress(redis_url, tmp_path) as (node, _):
        with write_node(tmp_path, broker_url=redis_url).running("worker"):
            wait_until(lambda: states(node) == {JobState.RUNNING: 2, JobState.SUCCEEDED: 1})
            # More than a lease lasts
            time.sleep(3)
            assert states(node) == {JobState.RUNNING: 2, JobState.SUCCEEDED: 1}
        (tmp_path / "hold").unlink()
        wait_until(lambda: states(node) == {JobState.SUCCEEDED: 3})
    assert set(starts(node).values()) == {1}


def test_a_worker_that_stops_ends_both_of_its_jobs_and_begins_no_third(redis_url: str, tmp_path: Path) -> None:
    with two_in_progress(redis_url, tmp_path) as (node, worker):
        os.kill(worker.pid, signal.SIGTERM)
        (tmp_path / "hold").unlink()
        wait_until(lambda: states(node) == {JobState.SUCCEEDED: 2, JobState.PENDING: 1})
    assert states(node) == {JobState.SUCCEEDED: 2, JobState.PENDING: 1}


def test_both_jobs_of_a_killed_worker_are_done_one_after_the_other(redis_url: str, tmp_path: Path) -> None:
    with two_in_progress(redis_url, tmp_path) as (node, worker):
        with node.sessions() as session:
            lost = {job.study_instance_uid for job in jobs.running(session)}
        os.kill(worker.pid, signal.SIGKILL)
        (tmp_path / "hold").unlink()
        with write_node(tmp_path, broker_url=redis_url, predictor=ONE_DEVICE).running(
            "worker", HOLD=str(tmp_path / "hold")
        ):
            wait_until(lambda: states(node) == {JobState.SUCCEEDED: 3}, seconds=60)
    assert {uid: count for uid, count in starts(node).items() if count == 2}.keys() == lost
    with node.sessions() as session:
        spans = sorted((job.started_at, job.finished_at) for uid in lost for job in jobs.of_study(session, uid))
    (_, first_ended), (second_began, _) = spans
    assert first_ended is not None
    assert second_began is not None
    assert first_ended <= second_began, "what may have ended a process runs alone"
