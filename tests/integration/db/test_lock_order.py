"""Transactions that lock the same rows at the same time, on PostgreSQL: none of them ends because of a deadlock."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.changes import change
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.tables import DeliveryRow
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import FailureKind, InferenceJob, RetryPolicy
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.deliver.send_results import deliver_due
from tests.builders import NOW, STUDY_UID, after, delivery, sop_instance

pytestmark = pytest.mark.parametrize(
    "url", [pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))], indirect=True
)
KEYS = [f"{number}" for number in range(1, 6)]


@pytest.fixture
def job(sessions: SessionFactory) -> InferenceJob:
    """Return a running job whose results were queued in the reverse order of their keys, the last first."""
    with sessions.begin() as session:
        studies.add_instance(session, sop_instance("R CC"), StudyAttributes())
        job_id = jobs.add(session, STUDY_UID, ["2.25.1"], "digest", NOW).job_id
        for age, key in enumerate(reversed(KEYS)):
            one = replace(delivery(job_id=job_id), delivery_id=key, sop_instance_uid=f"2.25.9{key}")
            deliveries.add_missing(session, [replace(one, path="result.dcm", created_at=after(age))])
        claimed = jobs.claim(session, job_id, owner="worker", now=NOW, lease_s=60, maximum_attempts=3)
    assert claimed is not None
    return claimed


@contextmanager
def meanwhile(sessions: SessionFactory, act: Callable[[Session], object]) -> Iterator[None]:
    """Run a transaction in another thread, at least until it waits for a lock; raise its error at the end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with sessions.begin() as session:
                act(session)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + 10
    while thread.is_alive() and time.monotonic() < deadline:
        with sessions() as session:
            if session.scalar(waits):
                break
        time.sleep(0.01)
    yield
    thread.join(30)
    if errors:
        raise errors[0]


def test_deliveries_are_locked_in_the_order_of_their_keys(sessions: SessionFactory, job: InferenceJob) -> None:
    with sessions() as holder:
        change(holder, DeliveryRow, DeliveryRow.delivery_id == KEYS[2], failure="held")
        stop = lambda session: deliveries.stop_unsent(session, STUDY_UID, DeliveryState.WITHHELD, "stopped")  # noqa: E731
        with meanwhile(sessions, stop):
            with sessions() as session:
                free = select(DeliveryRow.delivery_id).with_for_update(skip_locked=True)
                assert set(session.scalars(free)) == set(KEYS[3:])
            holder.rollback()


class Archive:
    """A destination that stores everything."""

    name = "archive"

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Return one outcome per instance."""
        return [StoreOutcome(one.sop_instance_uid, True, 0, False, "") for one in instances]


def test_a_sender_that_records_outcomes_and_a_person_who_stops_the_study_do_not_block_each_other(
    sessions: SessionFactory, job: InferenceJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = InstanceStore(tmp_path / "root")
    store.resolve("result.dcm").write_bytes(b"a result")
    first, mark = [True], deliveries.mark_stored
    another: list[object] = []

    def stop(session: Session) -> None:
        studies.get(session, STUDY_UID, for_update=True)
        for key in KEYS:  # as one statement does, in the order of the keys
            change(session, DeliveryRow, DeliveryRow.delivery_id == key, warning="stopped")

    def marked(session: Session, one: Delivery, *given: object) -> bool:
        done = mark(session, one, *given)  # type: ignore[arg-type]
        if first.pop() if first else False:
            block = meanwhile(sessions, stop)
            block.__enter__()
            another.append(block)
        return done

    monkeypatch.setattr(deliveries, "mark_stored", marked)
    sent = deliver_due(sessions, store, {"archive": Archive()}, RetryPolicy(5, 2, 900, 4), lambda: after(60), {})
    assert sent == len(KEYS)
    for block in another:
        block.__exit__(None, None, None)  # type: ignore[attr-defined]
    with sessions() as session:
        assert {one.state for one in deliveries.of_study(session, STUDY_UID)} == {DeliveryState.STORED}


def test_a_worker_that_reports_a_failed_job_and_a_person_who_sets_the_study_aside_do_not_block_each_other(
    sessions: SessionFactory, job: InferenceJob
) -> None:
    def set_aside(session: Session) -> None:
        studies.get(session, STUDY_UID, for_update=True)
        jobs.supersede_unfinished(session, STUDY_UID, after(2))

    with sessions() as worker:
        jobs.fail(worker, job, now=after(1), failure="broken", kind=FailureKind.PERMANENT, next_attempt_at=None)
        with meanwhile(sessions, set_aside):
            jobs.add_notice(worker, STUDY_UID, "digest", after(1))
            worker.commit()
    with sessions() as session:
        assert len(jobs.of_study(session, STUDY_UID)) == 2
