"""Chains of merges of patients: which ID survives, and what leaves a doubt."""

from glam_node.node.db import imaging_orders, patient_changes
from glam_node.node.domain.imaging_order import OrderMessage, OrderStep
from glam_node.node.domain.patient_change import ChangePolicy, PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.workflow.operate.patient_changes import merge_patient
from tests.unit.workflow.workbench import Workbench


def surviving_of(bench: Workbench, number: str) -> list[tuple[str, bool]]:
    with bench.sessions() as session:
        found = patient_changes.merges_of(session, number)
    return [(one.surviving.identifiers[0].value, one.is_sure) for one in found]


def merge_ids(bench: Workbench, prior: PatientIdentifier, surviving: PatientIdentifier) -> None:
    stated = PatientMerge(prior, StatedPatient((surviving,), "Muster^Anna", "19600131", "F"))
    with bench.sessions.begin() as session:
        merge_patient(session, stated, ChangePolicy("", True, True), "M1", bench.clock())


def test_a_chain_of_merges_does_not_cross_authorities_that_state_only_an_oid(bench: Workbench) -> None:
    merge_ids(bench, PatientIdentifier("A", "", "1.2.1"), PatientIdentifier("B", "", "1.2.1"))
    merge_ids(bench, PatientIdentifier("B", "", "9.9.9"), PatientIdentifier("C", "", "9.9.9"))
    assert surviving_of(bench, "A") == [("B", True)]
    merge_ids(bench, PatientIdentifier("A", "", "9.9.9"), PatientIdentifier("Y", "", "9.9.9"))
    assert sorted(surviving_of(bench, "A")) == [("B", True), ("Y", True)]


def test_a_later_merge_that_does_not_state_the_same_authority_leaves_a_doubt(bench: Workbench) -> None:
    merge_ids(bench, PatientIdentifier("A", "", "1.2.1"), PatientIdentifier("B", "", "1.2.1"))
    merge_ids(bench, PatientIdentifier("B", "HOSP"), PatientIdentifier("C", "HOSP"))
    assert surviving_of(bench, "A") == [("B", False)]


def test_an_order_that_states_no_authority_is_not_renamed_by_a_merge_with_an_oid(bench: Workbench) -> None:
    order = OrderMessage(OrderStep.PLACED, PatientIdentifier("A", "", "9.9.9"), accession_number="ACC")
    with bench.sessions.begin() as session:
        imaging_orders.merge_message(session, order, bench.clock())
    merge_ids(bench, PatientIdentifier("A", "", "1.2.1"), PatientIdentifier("B", "", "1.2.1"))
    with bench.sessions() as session:
        found = imaging_orders.get(session, order)
    assert found is not None
    assert found.patient.value == "A"


def test_the_newest_of_two_opposite_merges_wins_and_a_circle_leaves_a_doubt(bench: Workbench) -> None:
    first, second, third = (PatientIdentifier(one, "HOSP") for one in "ABC")
    merge_ids(bench, second, first)
    merge_ids(bench, first, second)
    assert surviving_of(bench, "A") == [("B", True)]
    assert surviving_of(bench, "B") == []
    merge_ids(bench, second, third)
    merge_ids(bench, third, first)
    assert surviving_of(bench, "A") == [("A", False)]


def test_the_surviving_id_is_the_one_of_the_authority_of_the_prior_id(bench: Workbench) -> None:
    prior, here = PatientIdentifier("A", "HOSP"), PatientIdentifier("B", "HOSP")
    national = PatientIdentifier("N9", "NAT")
    for number in (prior, here):
        stated = PatientMerge(number, StatedPatient((national, here), "Muster^Anna"))
        with bench.sessions.begin() as session:
            merge_patient(session, stated, ChangePolicy("", True, True), "M1", bench.clock())
    assert surviving_of(bench, "A") == [("B", True)]
    assert surviving_of(bench, "B") == []
    merge_ids(bench, prior, national)
    assert surviving_of(bench, "A") == [("N9", False)]
