"""Studies of orders: when the node looks for them, and when it stops."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from glam_node.node.db import imaging_orders
from glam_node.node.db.tables import AlertMessageRow
from glam_node.node.domain.archived import ArchivedStudy, FoundStudies, StudyQuery
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder, OrderMessage, OrderStep
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.workflow.operate.imaging_orders import OrderPolicy, take_order
from glam_node.node.workflow.operate.order_fetches import REST_S, OrderFetches
from glam_node.node.workflow.receive.fetch_study import FetchOutcome, StudyFetcher
from tests.unit.workflow.workbench import Workbench

POLICY = OrderPolicy(True, 600.0, ())
UID = "1.2.3.4"


@dataclass
class Archive:
    """An archive with studies of which the node gets all instances."""

    name: str = "pacs"
    studies: Sequence[ArchivedStudy] = ()
    instances: int = 4
    failure: NodeError | None = None
    asked: list[StudyQuery] = field(default_factory=list)

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Answer a query."""
        self.asked.append(query)
        if self.failure is not None:
            raise self.failure
        return FoundStudies(tuple(self.studies))

    def fetch(self, study: ArchivedStudy) -> FetchOutcome:
        """Fetch a study, as a `StudyFetcher` does."""
        return FetchOutcome(study.study_instance_uid, self.instances, self.instances, 0, ())


def place(bench: Workbench, step: OrderStep = OrderStep.PLACED, **more: Any) -> str:
    stated = OrderMessage(step, PatientIdentifier("P1"), "A-1", **more)
    with bench.sessions.begin() as session:
        return take_order(session, stated, POLICY, "M1", bench.clock())


def order(bench: Workbench) -> ImagingOrder:
    with bench.sessions() as session:
        found = imaging_orders.get(session, OrderMessage(OrderStep.PLACED, PatientIdentifier("P1"), "A-1").key)
    assert found is not None
    return found


def fetches(bench: Workbench, archive: Archive) -> OrderFetches:
    return OrderFetches(cast(Any, archive), cast(StudyFetcher, archive), bench.sessions, 60.0, bench.clock)


def test_a_study_is_fetched_until_it_grows_no_more(bench: Workbench) -> None:
    archive = Archive()
    place(bench)
    look = fetches(bench, archive).look
    assert look() == 0.0
    assert look() is None
    assert order(bench).failure == "the source has no study of the order yet"
    archive.studies = [ArchivedStudy(UID, "P1", "A-1")]
    states = []
    for instances in (2, 4, 4):
        archive.instances = instances
        bench.clock.turn(61)
        assert look() == 0.0
        states.append(order(bench).fetch_state)
    assert states == [FetchState.WAITING, FetchState.WAITING, FetchState.FETCHED]
    bench.clock.turn(61)
    assert look() is None


@pytest.mark.parametrize(
    ("failure", "rest_s"),
    [(TransientError("The archive is down."), REST_S), (PermanentError("The archive refuses."), 0.0), (None, 0.0)],
)
def test_a_study_that_is_not_fetched_in_time_is_given_up_and_reported(
    bench: Workbench, failure: NodeError | None, rest_s: float
) -> None:
    archive = Archive(failure=failure)
    place(bench)
    assert fetches(bench, archive).look() == rest_s
    bench.clock.turn(601)
    fetches(bench, archive).look()
    assert order(bench).fetch_state is FetchState.GIVEN_UP
    with bench.sessions() as session:
        (notice,) = session.query(AlertMessageRow).all()
    assert "A-1" not in notice.fact
    place(bench)
    assert order(bench).fetch_state is FetchState.WAITING


def test_the_node_looks_from_the_scheduled_time_on(bench: Workbench) -> None:
    archive = Archive()
    place(bench, scheduled_at=bench.clock() + timedelta(hours=3), study_instance_uid=UID)
    assert fetches(bench, archive).look() is None
    bench.clock.turn(3 * 3600)
    fetches(bench, archive).look()
    assert [one.study_instance_uid for one in archive.asked] == [UID]


def test_a_study_of_another_patient_is_not_fetched(bench: Workbench) -> None:
    place(bench)
    fetches(bench, Archive(studies=[ArchivedStudy(UID, "P2", "A-1")])).look()
    assert order(bench).failure == "the source has the study of the order only with another Patient ID"


def test_a_cancelled_order_is_not_fetched_until_it_is_placed_again(bench: Workbench) -> None:
    place(bench)
    assert place(bench, OrderStep.CANCELLED) == "order cancelled, fetch WITHDRAWN"
    assert fetches(bench, Archive()).look() is None
    assert place(bench) == "order placed, fetch WAITING"


def test_a_look_is_not_repeated_by_another_process_while_it_lasts(bench: Workbench) -> None:
    place(bench)
    before = order(bench)
    with bench.sessions.begin() as session:
        assert imaging_orders.claim_fetch(session, before, bench.clock() + timedelta(seconds=30))
        assert not imaging_orders.claim_fetch(session, before, bench.clock() + timedelta(seconds=30))
    assert fetches(bench, Archive()).look() is None
    bench.clock.turn(31)
    assert fetches(bench, Archive()).look() == 0.0


def test_an_order_on_hold_is_not_fetched_until_it_is_released(bench: Workbench) -> None:
    assert place(bench, OrderStep.ON_HOLD) == "order on hold, fetch WITHDRAWN"
    assert place(bench, OrderStep.CHANGED) == "order changed, fetch WITHDRAWN"
    assert place(bench) == "order placed, fetch WAITING"


def test_a_change_of_an_order_that_is_not_known_has_its_study_fetched(bench: Workbench) -> None:
    assert place(bench, OrderStep.CHANGED) == "order changed, fetch WAITING"
    assert place(bench, OrderStep.CANCELLED) == "order cancelled, fetch WITHDRAWN"
    assert place(bench, OrderStep.CHANGED) == "order changed, fetch WITHDRAWN"
