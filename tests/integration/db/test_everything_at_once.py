"""Test of two receivers, dispatchers, workers and senders each, on one database at the same time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor, threshold_package
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.study import StudyState
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.worker.queue import InlineQueue
from glam_node.node.workflow.assemble.submit import announce_waiting_jobs
from glam_node.node.workflow.operate.retry import retry_study
from tests.builders import NOW
from tests.unit.workflow.workbench import Archive, Clock, Workbench
from tests.waiting import wait_until

STUDIES = 6


class LongAfterwards(Clock):
    """Running clock that is far ahead, so that every study has been quiet for long."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def workbench(sessions: SessionFactory, root: Path, clock: Clock) -> Workbench:
    predictor = ThresholdPredictor.from_package(threshold_package(root / "package"), "cpu")
    return Workbench(sessions, InstanceStore(root / "store"), predictor, clock=clock)


def one_view(seed: int) -> Dataset:
    lesions = [(FindingKind.MALIGNANT, Laterality.RIGHT)]
    return make_exam(seed, rows=64, columns=48, lesions=lesions)[0].dataset


@contextmanager
def all_the_time(*actions: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Repeat every action in two threads of its own while the block runs, and yield the errors."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def repeat(action: Callable[[], object]) -> None:
        while not stop.is_set():
            try:
                action()
            except BaseException as error:
                errors.append(error)
                return
            stop.wait(0.01)

    threads = [threading.Thread(target=repeat, args=(action,)) for action in (*actions, *actions)]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_until_stored(sessions: SessionFactory, count: int, errors: list[BaseException]) -> None:
    def are_stored() -> bool:
        assert not errors, errors
        with sessions() as session:
            return deliveries.counts(session) == {("archive", DeliveryState.STORED): count}

    wait_until(are_stored)


def test_every_study_is_reported_once_although_all_work_at_once(sessions: SessionFactory, tmp_path: Path) -> None:
    receiver, node = workbench(sessions, tmp_path, Clock(NOW)), workbench(sessions, tmp_path, LongAfterwards())
    archive = Archive()

    def announce() -> None:
        with sessions() as session:
            announce_waiting_jobs(session, InlineQueue(run), Priority.SCREENING, node.clock())

    def run(job_id: str) -> None:
        with sessions() as session:
            job = jobs.get(session, job_id)
        assert job is not None
        node.run(job, owner=threading.current_thread().name)

    with all_the_time(node.dispatch, announce, lambda: node.deliver(archive)) as errors:
        for seed in range(STUDIES):
            receiver.receive(one_view(seed))
        wait_until_stored(sessions, 2 * STUDIES, errors)
    assert errors == []
    assert len(archive.received) == len(set(archive.received)) == 2 * STUDIES
    with sessions() as session:
        assert jobs.counts_by_state(session) == {JobState.SUCCEEDED: STUDIES}
        assert studies.counts_by_state(session) == {StudyState.REPORTED: STUDIES}


def test_results_that_were_given_up_arrive_while_people_retry_them(sessions: SessionFactory, tmp_path: Path) -> None:
    receiver, node = workbench(sessions, tmp_path, Clock(NOW)), workbench(sessions, tmp_path, LongAfterwards())
    refused: set[str] = set()

    def refuse_once(instance: OutgoingInstance) -> StoreOutcome | None:
        if instance.sop_instance_uid in refused:
            return None
        refused.add(instance.sop_instance_uid)
        return StoreOutcome(instance.sop_instance_uid, False, 0xA900, False, "ARCHIVE refused the object.")

    def announce() -> None:
        with sessions() as session:
            waiting = jobs.waiting(session, 10)
        for job in waiting:
            node.run(job, owner=threading.current_thread().name)

    def retry() -> None:
        with sessions() as session:
            known = [study.study_instance_uid for study in studies.recent(session, STUDIES)]
        for uid in known:
            with sessions.begin() as session:
                retry_study(session, Order(uid, Actor("anna", "host"), node.clock()), node.context)

    archive = Archive(answer=refuse_once)
    with all_the_time(node.dispatch, announce, retry, lambda: node.deliver(archive)) as errors:
        for seed in range(STUDIES):
            receiver.receive(one_view(seed))
        wait_until_stored(sessions, 2 * STUDIES, errors)
    assert errors == []
    assert len(refused) == 2 * STUDIES
