"""Studies of orders: when the node looks for them, and when it stops."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select

from glam_node.node.db import imaging_orders
from glam_node.node.db.tables import AlertMessageRow, ImagingOrderRow
from glam_node.node.domain.archived import MOST_OTHERS, ArchivedStudy, FoundStudies, StudyQuery, found_studies
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder, OrderMessage, OrderStep
from glam_node.node.domain.patient_change import ChangePolicy, PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.workflow.operate.imaging_orders import OrderPolicy, take_orders
from glam_node.node.workflow.operate.order_fetches import OTHER_PATIENT, REST_S, TOO_MANY, WILDCARD, OrderFetches
from glam_node.node.workflow.operate.patient_changes import merge_patient
from glam_node.node.workflow.receive.fetch_study import FetchOutcome, StudyFetcher
from tests.unit.workflow.workbench import Workbench

POLICY = OrderPolicy(True, 600.0, ())
UID = "1.2.3.4"


@dataclass
class Archive:
    """An archive with studies of which the node gets all instances."""

    name: str = "pacs"
    studies: Iterable[ArchivedStudy] = ()
    instances: int = 4
    failure: NodeError | None = None
    asked: list[StudyQuery] = field(default_factory=list)

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Answer a query."""
        self.asked.append(query)
        if self.failure is not None:
            raise self.failure
        return found_studies(self.studies, query)

    def fetch(self, study: ArchivedStudy) -> FetchOutcome:
        """Fetch a study, as a `StudyFetcher` does."""
        return FetchOutcome(study.study_instance_uid, self.instances, self.instances, 0, ())


def place(bench: Workbench, step: OrderStep = OrderStep.PLACED, **more: Any) -> str:
    stated = OrderMessage(step, **{"patient": PatientIdentifier("P1"), "accession_number": "A-1", **more})
    with bench.sessions.begin() as session:
        return take_orders(session, [stated], POLICY, "M1", bench.clock())


def the_order(bench: Workbench) -> ImagingOrder:
    """Return the order that was changed last."""
    with bench.sessions() as session:
        row = session.scalars(select(ImagingOrderRow).order_by(ImagingOrderRow.changed_at.desc())).first()
        assert row is not None
        number, patient = row.accession_number, PatientIdentifier(row.patient_id, row.assigning_authority)
        found = imaging_orders.get(session, OrderMessage(OrderStep.PLACED, patient, number))
    assert found is not None
    return found


def fetches(bench: Workbench, archive: Archive, authority: str = "") -> OrderFetches:
    source, fetcher = cast(Any, archive), cast(StudyFetcher, archive)
    return OrderFetches(source, fetcher, bench.sessions, 60.0, authority, now=bench.clock)


def test_a_study_is_fetched_until_it_grows_no_more(bench: Workbench) -> None:
    archive = Archive()
    place(bench)
    look = fetches(bench, archive).look
    assert look() == 0.0
    assert look() is None
    assert the_order(bench).failure == "the source has no study of the order yet"
    archive.studies = [ArchivedStudy(UID, "P1", "A-1")]
    states = []
    for instances in (2, 4, 4):
        archive.instances = instances
        bench.clock.turn(61)
        assert look() == 0.0
        states.append(the_order(bench).fetch_state)
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
    assert the_order(bench).fetch_state is FetchState.GIVEN_UP
    with bench.sessions() as session:
        (notice,) = session.query(AlertMessageRow).all()
    assert "A-1" not in notice.fact
    place(bench)
    assert the_order(bench).fetch_state is FetchState.WAITING


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
    assert the_order(bench).failure == OTHER_PATIENT


def test_a_cancelled_order_is_not_fetched_until_it_is_placed_again(bench: Workbench) -> None:
    place(bench)
    assert place(bench, OrderStep.CANCELLED) == "order cancelled, fetch WITHDRAWN"
    assert fetches(bench, Archive()).look() is None
    assert place(bench) == "order placed, fetch WAITING"


def test_a_look_is_not_repeated_by_another_process_while_it_lasts(bench: Workbench) -> None:
    place(bench)
    before = the_order(bench)
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


HERE = PatientIdentifier("P1", "HOSP")


@pytest.mark.parametrize(
    ("site", "patient", "issuer", "is_fetched"),
    [
        ("HOSP", HERE, "hosp", True),
        ("HOSP", HERE, "", True),
        ("HOSP", HERE, "OTHER", False),
        ("HOSP", PatientIdentifier("P1", "OTHER"), "", False),
        ("HOSP", PatientIdentifier("P1"), "OTHER", False),
        ("", HERE, "", True),
        ("", HERE, "OTHER", False),
    ],
)
def test_a_study_of_another_assigning_authority_is_not_fetched(
    bench: Workbench, site: str, patient: PatientIdentifier, issuer: str, is_fetched: bool
) -> None:
    place(bench, patient=patient)
    archive = Archive(studies=[ArchivedStudy(UID, "P1", "A-1", issuer_of_patient_id=issuer)])
    fetches(bench, archive, site).look()
    assert archive.asked[0].return_keys == ("IssuerOfPatientID",)
    assert the_order(bench).failure == ("" if is_fetched else OTHER_PATIENT)


def test_a_study_that_the_archive_has_under_an_id_that_was_merged_is_fetched(bench: Workbench) -> None:
    surviving = StatedPatient((PatientIdentifier("P2", "HOSP"),))
    place(bench, patient=HERE)
    with bench.sessions.begin() as session:
        merge_patient(session, PatientMerge(HERE, surviving), ChangePolicy("HOSP", True, True), "M2", bench.clock())
    fetches(bench, Archive(studies=[ArchivedStudy(UID, "P1", "A-1")]), "HOSP").look()
    assert (the_order(bench).patient.value, the_order(bench).failure) == ("P2", "")


@pytest.mark.parametrize("number", ["A*", "A-?", "A\\B"])
def test_an_accession_number_with_a_wildcard_is_not_asked_for(bench: Workbench, number: str) -> None:
    archive = Archive()
    place(bench, accession_number=number)
    fetches(bench, archive).look()
    assert archive.asked == []
    assert (the_order(bench).fetch_state, the_order(bench).failure) == (FetchState.GIVEN_UP, WILDCARD)
    place(bench, accession_number="B*", study_instance_uid=UID)
    fetches(bench, archive).look()
    assert [one.keys["AccessionNumber"] for one in archive.asked] == [""]


def test_no_study_is_fetched_where_too_many_have_the_number_of_the_order(bench: Workbench) -> None:
    place(bench)
    fetches(bench, Archive(studies=[ArchivedStudy(f"1.2.{one}", "P1", "A-1") for one in range(11)])).look()
    assert the_order(bench).failure == TOO_MANY


def test_the_answers_of_an_archive_that_ignores_what_was_asked_for_are_not_read_to_their_end(bench: Workbench) -> None:
    answers = (ArchivedStudy(f"1.2.{one}", "P1", "A-2") for one in itertools.count())
    place(bench)
    fetches(bench, Archive(studies=answers)).look()
    assert next(answers).study_instance_uid == f"1.2.{MOST_OTHERS + 1}"
    assert the_order(bench).failure == TOO_MANY
