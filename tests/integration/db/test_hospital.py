"""Orders, merges and changes of patients, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from glam_node.node.db import imaging_orders, patient_changes, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.standing import hold_for_patient, set_standing
from glam_node.node.db.tables import HospitalMessageRow, ImagingOrderRow
from glam_node.node.domain.imaging_order import FetchState, OrderMessage, OrderStep
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import Priority
from glam_node.node.domain.patient_change import ChangeKind, CorrectedPatient, PatientChange, PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.domain.study import Holder, Standing
from tests.builders import NOW, STUDY_UID, after, sop_instance

HERE, THERE = PatientIdentifier("P1", "HOSP"), PatientIdentifier("P2", "HOSP")


@pytest.fixture(autouse=True)
def study(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        studies.add_instance(session, sop_instance("R CC"), StudyAttributes("P1", "HOSP", "A-1"))


def take(sessions: SessionFactory, patient: PatientIdentifier = HERE, **stated: object) -> str:
    message = OrderMessage(OrderStep.PLACED, patient, **{"accession_number": "A-1", **stated})  # type: ignore[arg-type]
    with sessions.begin() as session:
        return imaging_orders.merge_message(session, message, NOW).order_key


def test_a_study_has_the_orders_of_its_number_and_patient(sessions: SessionFactory) -> None:
    take(sessions, priority=Priority.URGENT)
    take(sessions, reason="a reason")
    take(sessions, PatientIdentifier("P1", "ELSEWHERE"), accession_number="A-9", study_instance_uid=STUDY_UID)
    take(sessions, THERE, priority=Priority.SCREENING)
    take(sessions, accession_number="A-2", priority=Priority.SCREENING)
    with sessions() as session:
        found = studies.get(session, STUDY_UID)
        assert found is not None
        (order,) = imaging_orders.of_study(session, found, "")
        assert imaging_orders.priority_of(session, found, "") is Priority.URGENT
        assert imaging_orders.studies_of(session, order, "") == [STUDY_UID]


def test_orders_of_a_merged_patient_follow(sessions: SessionFactory) -> None:
    take(sessions, priority=Priority.URGENT)
    take(sessions, PatientIdentifier("P1", "ELSEWHERE"), accession_number="A-3")
    with sessions.begin() as session:
        imaging_orders.rename_patient(session, HERE, THERE)
    with sessions() as session:
        rows = {row.accession_number: row.patient_id for row in session.scalars(select(ImagingOrderRow))}
    assert rows == {"A-1": "P2", "A-3": "P1"}


def test_only_a_study_that_a_rule_holds_waits_for_its_first_read(sessions: SessionFactory) -> None:
    take(sessions)
    with sessions.begin() as session:
        message = OrderMessage(OrderStep.REPORTED, HERE, "A-1")
        imaging_orders.merge_message(session, message, NOW, read_at=NOW)
        found = studies.get(session, STUDY_UID)
        assert found is not None
        assert imaging_orders.read_and_held(session) == []
        held = set_standing(session, found, Standing.HELD, "by a rule", after(60), Holder.RULE)
        session.flush()
        assert imaging_orders.read_and_held(session) == [STUDY_UID]
        hold_for_patient(session, held, "in doubt")
        session.flush()
        assert imaging_orders.read_and_held(session) == []


def test_a_chain_of_merges_leads_to_the_last_patient_and_a_circle_ends(sessions: SessionFactory) -> None:
    chain = [("P1", "P2"), ("P2", "P3"), ("P3", "P2")]
    for prior, surviving in chain[:2]:
        add_merge(sessions, prior, surviving)
    with sessions() as session:
        assert [one.surviving.identifiers[0].value for one in patient_changes.merges_of(session, "P1")] == ["P3"]
    add_merge(sessions, *chain[2])
    with sessions() as session:
        assert len(patient_changes.merges_of(session, "P1")) == 1


def add_merge(sessions: SessionFactory, prior: str, surviving: str) -> None:
    patient = StatedPatient((PatientIdentifier(surviving, "HOSP"),))
    with sessions.begin() as session:
        patient_changes.add_merge(session, PatientMerge(PatientIdentifier(prior, "HOSP"), patient), NOW)


def test_a_study_is_found_by_the_patient_of_its_images_and_of_its_results(sessions: SessionFactory) -> None:
    patient = CorrectedPatient("P2", "HOSP", "Muster^Anna", "19600131", "F")
    change = PatientChange(STUDY_UID, ChangeKind.MERGED, True, "merged", patient, NOW)
    with sessions.begin() as session:
        patient_changes.set_change(session, change)
    with sessions() as session:
        assert patient_changes.of_study(session, STUDY_UID) == change
        assert patient_changes.followed(session, STUDY_UID) == patient
        for name in ("P1", "P2"):
            assert patient_changes.studies_of(session, [name]) == [STUDY_UID]
        assert patient_changes.studies_of(session, ["P3", ""]) == []


def test_old_messages_and_orders_are_removed_and_orders_to_come_stay(sessions: SessionFactory) -> None:
    take(sessions)
    take(sessions, accession_number="A-2", scheduled_at=after(2 * 86_400))
    with sessions.begin() as session:
        assert imaging_orders.add_message(session, "digest", "ADT^A08", NOW)
        assert not imaging_orders.add_message(session, "digest", "ADT^A08", NOW)
        imaging_orders.remove_old(session, NOW + timedelta(days=1))
    with sessions() as session:
        assert [row.accession_number for row in session.scalars(select(ImagingOrderRow))] == ["A-2"]
        assert session.scalars(select(HospitalMessageRow)).all() == []
        assert imaging_orders.counts(session) == {"NOTED": 1}
        assert imaging_orders.fetches(session, 9) == []
        assert imaging_orders.given_up(session, 9) == []


def test_a_look_is_reserved_by_one_process(sessions: SessionFactory) -> None:
    key = take(sessions)
    with sessions.begin() as session:
        message = OrderMessage(OrderStep.PLACED, HERE, "A-1")
        imaging_orders.merge_message(session, message, NOW, fetch_state=FetchState.WAITING, next_attempt_at=NOW)
    with sessions.begin() as session:
        order = imaging_orders.to_fetch(session, NOW)
        assert order is not None
        assert order.order_key == key
        assert imaging_orders.claim_fetch(session, order, after(30))
        assert not imaging_orders.claim_fetch(session, order, after(30))
    with sessions.begin() as session:
        assert imaging_orders.to_fetch(session, after(29)) is None
        assert imaging_orders.record_fetch(session, order, fetch_state=FetchState.FETCHED)
        session.flush()
        assert not imaging_orders.record_fetch(session, order, fetch_state=FetchState.WAITING)
