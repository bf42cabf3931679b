"""Tests of the bulk insertion of received instances, on both databases."""

from dataclasses import replace
from typing import Any

import pytest

from glam_node.node.db import audit, conflicts, studies
from glam_node.node.db.arrivals import Arrival, add_arrivals
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.conflict import Conflict
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.study import Study, StudyState
from tests.builders import STUDY_UID, after, report, sop_instance

WAYS = [("patient",), ("content",)]
"""Differences of two newer versions."""


def arrival(view: str = "R CC", patient_id: str = "P1", **fields: Any) -> Arrival:
    return Arrival(sop_instance(view, **fields), StudyAttributes(patient_id=patient_id))


def add(sessions: SessionFactory, *arrivals: Arrival) -> list[SOPInstance]:
    with sessions.begin() as session:
        return add_arrivals(session, arrivals)


def study(sessions: SessionFactory, uid: str = STUDY_UID) -> Study:
    with sessions() as session:
        found = studies.get(session, uid)
    assert found is not None
    return found


def move(sessions: SessionFactory, *states: StudyState) -> None:
    moved = study(sessions)
    with sessions.begin() as session:
        for state in states:
            studies.set_state(session, moved, state, "rule", "reason")


def test_all_arrivals_are_recorded_in_their_studies_with_an_event_each(sessions: SessionFactory) -> None:
    arrivals = [arrival(received_at=after(number)) for number in range(5)]
    arrivals += [arrival(study_instance_uid=f"2.25.7{number}") for number in range(3)]
    kept = add(sessions, *arrivals)
    assert kept == [one.instance for one in arrivals]
    assert {one.sop_instance_uid for one in study(sessions).instances} == {one.sop_instance_uid for one in kept[:5]}
    assert study(sessions).last_received_at == after(4)
    assert study(sessions, "2.25.72").instances == (kept[7],)
    with sessions() as session:
        events = audit.timeline(session, STUDY_UID)
    assert [event.detail["sop_instance_uid"] for event in events] == [one.sop_instance_uid for one in kept[:5]]
    assert all(event.kind == "instance_stored" for event in events)


def test_an_instance_that_is_recorded_already_stays_unchanged(sessions: SessionFactory) -> None:
    (first,) = add(sessions, arrival())
    again = replace(first, blake3="1" * 64, received_at=after(60))
    fresh = arrival(received_at=after(30))
    assert add(sessions, Arrival(again, StudyAttributes("P2")), fresh) == [first, fresh.instance]
    assert study(sessions).last_received_at == after(30)
    assert study(sessions).attributes.patient_id == "P1"


def test_the_same_uid_twice_in_one_batch_is_recorded_once(sessions: SessionFactory) -> None:
    first = arrival()
    second = Arrival(replace(first.instance, blake3="1" * 64), first.study)
    assert add(sessions, first, second) == [first.instance, first.instance]


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_the_first_stated_patient_id_is_the_studys_and_others_are_marked(
    sessions: SessionFactory, together: bool
) -> None:
    arrivals = [arrival(patient_id=patient_id) for patient_id in ("", "P1", "P2", "P1", "")]
    batches = [arrivals] if together else [[one] for one in arrivals]
    kept = [one for batch in batches for one in add(sessions, *batch)]
    assert [one.attributes.patient_mismatch for one in kept] == [False, False, True, False, False]
    assert study(sessions).attributes.patient_id == "P1"


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_the_identity_of_each_image_is_recorded(sessions: SessionFactory, together: bool) -> None:
    stated = [
        identity_of({"PatientID": "P1", "PatientName": name, "PatientBirthDate": born}, STUDY_UID)
        for name, born in (("Müller^Jörg=山田^太郎", "19600101"), ("", ""), ("DOE^JANE", "19750505"))
    ]
    arrivals = [arrival(identity=identity) for identity in stated]
    arrivals.append(Arrival(report(), StudyAttributes("COERCED")))
    kept = add(sessions, *arrivals) if together else [one for single in arrivals for one in add(sessions, single)]
    found = {one.sop_instance_uid: one.identity for one in study(sessions).instances}
    assert [found[one.sop_instance_uid] for one in kept] == [*stated, None]


def test_a_patient_id_of_another_issuer_is_marked_as_a_mismatch(sessions: SessionFactory) -> None:
    issuers = ["", "HOSP_A", "HOSP_B", "HOSP_A", ""]
    arrivals = [
        Arrival(sop_instance(), StudyAttributes(patient_id="P1" if issuer else "", issuer_of_patient_id=issuer))
        for issuer in issuers
    ]
    assert [one.attributes.patient_mismatch for one in add(sessions, *arrivals)] == [False, False, True, False, False]
    assert study(sessions).attributes.issuer_of_patient_id == "HOSP_A"


def test_newer_versions_wait_for_a_decision_and_can_be_accepted(sessions: SessionFactory) -> None:
    first = [sop_instance(view, identity=identity_of({}, STUDY_UID)) for view in ("R CC", "L CC")]
    add(sessions, *(Arrival(one, StudyAttributes(patient_id="P1")) for one in first))
    corrected = StudyAttributes(patient_id="P2", issuer_of_patient_id="A", accession_number="7")
    newer = [
        replace(
            one,
            path=f"conflicts/{number}.dcm",
            blake3=f"{number}" * 64,
            received_at=after(60 + number),
            identity=identity_of({"PatientName": "山田^太郎"}, STUDY_UID),
        )
        for number, one in enumerate(first)
    ]
    waiting = [Conflict(one, corrected, STUDY_UID, differs) for one, differs in zip(newer, WAYS, strict=True)]
    with sessions.begin() as session:
        for conflict in [*waiting, *waiting]:
            conflicts.add(session, conflict)
    with sessions.begin() as session:
        assert conflicts.open_of_study(session, STUDY_UID) == waiting
        assert [(one.study_instance_uid, one.kinds) for one in conflicts.in_doubt(session)] == [
            (STUDY_UID, ("patient",))
        ]
        assert conflicts.count_in_doubt(session)["patient"] == 1
        conflicts.take(session, waiting[0], "instances/taken.dcm")
        conflicts.settle(session, [newer[1].sop_instance_uid], after(90))
    with sessions.begin() as session:
        assert conflicts.open_of_study(session, STUDY_UID) == []
        conflicts.add(session, waiting[1])
        assert conflicts.open_of_study(session, STUDY_UID) == []
    changed = study(sessions)
    assert changed.attributes == corrected
    assert set(changed.instances) == {replace(newer[0], path="instances/taken.dcm"), first[1]}


def test_a_late_mammogram_reopens_its_study_and_a_report_does_not(sessions: SessionFactory) -> None:
    add(sessions, arrival())
    move(sessions, StudyState.COMPLETE, StudyState.SUBMITTED)
    add(sessions, Arrival(report(received_at=after(50)), StudyAttributes("P1")), arrival(study_instance_uid="2.25.71"))
    assert study(sessions).state is StudyState.SUBMITTED
    add(sessions, arrival("L CC", received_at=after(60)), arrival("L MLO", received_at=after(61)))
    assert (study(sessions).state, study(sessions).receiving_since) == (StudyState.RECEIVING, after(60))
    assert study(sessions).last_received_at == after(61)
    assert len(study(sessions).instances) == 4
