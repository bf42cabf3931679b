"""Tests of recorded studies and instances, on both databases."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.completeness import AssemblyPolicy
from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.study import Study, StudyState
from tests.builders import NOW, STUDY_UID, after, four_views, report, sop_instance

POLICY = AssemblyPolicy(settle_time_s=10, quiet_time_s=300, maximum_age_s=3600)


def receive(sessions: SessionFactory, *instances: SOPInstance) -> None:
    with sessions.begin() as session:
        for instance in instances:
            studies.add_instance(session, instance, StudyAttributes(patient_id="P1", accession_number="A1"))


def the_study(sessions: SessionFactory) -> Study:
    with sessions() as session:
        return studies.recent(session, 1)[0]


def move(sessions: SessionFactory, *states: StudyState) -> None:
    study = the_study(sessions)
    with sessions.begin() as session:
        for state in states:
            studies.set_state(session, study, state, "rule", "reason")


def due(sessions: SessionFactory, seconds: float) -> list[str]:
    with sessions.begin() as session:
        found = studies.possibly_complete(session, POLICY, after(seconds), 100)
    return [study.study_instance_uid for study in found]


def test_an_instance_is_returned_as_it_was_added(sessions: SessionFactory) -> None:
    instance = sop_instance("L MLO", view_modifiers=("implant_displaced",), breast_implant_present=True)
    receive(sessions, instance)
    with sessions() as session:
        assert studies.find_instance(session, instance.sop_instance_uid) == instance
        assert studies.find_instance(session, "2.25.404") is None


def test_the_first_instance_creates_the_study(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC"))
    study = the_study(sessions)
    assert (study.state, study.first_received_at, study.receiving_since) == (StudyState.RECEIVING, NOW, NOW)
    assert study.attributes.accession_number == "A1"


def test_further_instances_do_not_change_the_attributes_of_the_study(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC"))
    with sessions.begin() as session:
        studies.add_instance(
            session, sop_instance("L CC", received_at=after(5)), StudyAttributes(accession_number="A2")
        )
    study = the_study(sessions)
    assert (study.attributes.accession_number, study.last_received_at, len(study.instances)) == ("A1", after(5), 2)


def test_the_second_of_two_patients_received_at_once_is_marked(
    sessions: SessionFactory,
) -> None:
    def take(view: str, patient_id: str) -> bool:
        with sessions.begin() as session:
            begun.wait()
            kept = studies.add_instance(session, sop_instance(view), StudyAttributes(patient_id=patient_id))
            time.sleep(0.1)
            return kept.attributes.patient_mismatch

    begun = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor(2) as receivers:
        marked = list(receivers.map(take, ("R CC", "L CC"), ("P1", "P2")))
    assert sorted(marked) == [False, True]


def test_a_clock_that_is_set_back_does_not_make_the_last_arrival_earlier(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC"), sop_instance("L CC", received_at=after(-3600)))
    assert the_study(sessions).last_received_at == NOW


@pytest.mark.parametrize(
    "way",
    [
        [StudyState.COMPLETE],
        [StudyState.COMPLETE, StudyState.INELIGIBLE],
        [StudyState.COMPLETE, StudyState.SUBMITTED],
        [StudyState.COMPLETE, StudyState.SUBMITTED, StudyState.REPORTED],
    ],
)
def test_a_late_mammogram_reopens_a_study_from_any_state(sessions: SessionFactory, way: list[StudyState]) -> None:
    receive(sessions, *four_views())
    move(sessions, *way)
    receive(sessions, sop_instance("L CC", received_at=after(7200)))
    study = the_study(sessions)
    assert (study.state, study.rule, study.receiving_since) == (StudyState.RECEIVING, "", after(7200))


def test_a_returning_report_does_not_reopen_the_study(sessions: SessionFactory) -> None:
    receive(sessions, *four_views())
    move(sessions, StudyState.COMPLETE, StudyState.SUBMITTED, StudyState.REPORTED)
    receive(sessions, report(received_at=after(60)))
    study = the_study(sessions)
    assert (study.state, study.rule, len(study.instances)) == (StudyState.REPORTED, "rule", 5)


def test_an_illegal_transition_is_refused(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC"))
    with pytest.raises(ValueError, match="cannot go from RECEIVING to REPORTED"):
        move(sessions, StudyState.REPORTED)


def test_four_mammograms_are_checked_when_settled_and_fewer_when_quiet(sessions: SessionFactory) -> None:
    receive(sessions, *four_views())
    few = [replace(view, study_instance_uid="2.25.200") for view in four_views()[:3]]
    receive(sessions, *few)
    assert due(sessions, 9) == []
    assert due(sessions, 10) == [STUDY_UID]
    assert sorted(due(sessions, 300)) == [STUDY_UID, "2.25.200"]


def test_a_study_that_keeps_arriving_is_checked_at_its_maximum_age(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC"), sop_instance("L CC", received_at=after(3599)))
    assert due(sessions, 3599) == []
    assert due(sessions, 3600) == [STUDY_UID]


# On SQLite the second transaction waits until the first has ended.
@pytest.mark.parametrize("url", [pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))], indirect=True)
def test_a_study_locked_by_another_dispatcher_is_skipped(sessions: SessionFactory) -> None:
    receive(sessions, *four_views())
    with sessions.begin() as first, sessions.begin() as second:
        assert len(studies.possibly_complete(first, POLICY, after(10), 100)) == 1
        assert studies.possibly_complete(second, POLICY, after(10), 100) == []


def test_the_latest_studies_are_returned_first(sessions: SessionFactory) -> None:
    for number in range(3):
        receive(sessions, sop_instance("R CC", study_instance_uid=f"2.25.{number}", received_at=after(number)))
    with sessions() as session:
        assert [study.study_instance_uid for study in studies.recent(session, 2)] == ["2.25.2", "2.25.1"]


def test_studies_are_counted_by_state(sessions: SessionFactory) -> None:
    receive(sessions, sop_instance("R CC", study_instance_uid="2.25.1", received_at=after(-1)), *four_views())
    move(sessions, StudyState.COMPLETE)
    with sessions() as session:
        assert studies.counts_by_state(session) == {StudyState.COMPLETE: 1, StudyState.RECEIVING: 1}


def test_the_next_study_to_settle_is_the_receiving_one_with_the_earliest_last_instance(
    sessions: SessionFactory,
) -> None:
    def next_after(seconds: float) -> object:
        with sessions() as session:
            return studies.settles_next(session, after(seconds))

    assert next_after(-1) is None
    receive(sessions, sop_instance("R CC"))
    assert (next_after(-1), next_after(0)) == (NOW, None)
    move(sessions, StudyState.COMPLETE)
    assert next_after(-1) is None
