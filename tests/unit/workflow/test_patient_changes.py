"""Corrections and merges of patients: which studies they concern, and whether results follow or wait."""

from collections.abc import Callable
from copy import deepcopy

import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from glam_node.node.db import imaging_orders, patient_changes
from glam_node.node.db.standing import held, holder
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.imaging_order import OrderMessage, OrderStep
from glam_node.node.domain.patient_change import ChangePolicy, PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.domain.study import Holder, Standing, StudyState
from glam_node.node.workflow.assemble.completion import close_complete_studies
from glam_node.node.workflow.operate.imaging_orders import release_read_studies
from glam_node.node.workflow.operate.patient_changes import check_arrived, correct_patient, merge_patient
from glam_node.node.workflow.operate.standing import hold, release
from tests.unit.workflow.workbench import ASSEMBLY, Archive, Workbench

HOLD, FOLLOW = ChangePolicy("HOSP", False, False), ChangePolicy("HOSP", True, True)
ANNA = {"PatientID": "P1", "PatientName": "Muster^Anna", "PatientBirthDate": "19600131", "PatientSex": "F"}


def patient(
    name: str = "Muster^Anna", born: str = "19600131", sex: str = "F", number: str = "P1", authority: str = "HOSP"
) -> StatedPatient:
    return StatedPatient((PatientIdentifier(number, authority),), name, born, sex)


@pytest.fixture
def anna(exam: list[Dataset]) -> list[Dataset]:
    views = deepcopy(exam)
    for view in views:
        for keyword, value in ANNA.items():
            setattr(view, keyword, value)
    return views


def correct(bench: Workbench, stated: StatedPatient, policy: ChangePolicy = HOLD) -> str:
    with bench.sessions.begin() as session:
        return correct_patient(session, stated, policy, "M1", bench.clock())


def merge(bench: Workbench, prior: PatientIdentifier, surviving: StatedPatient, policy: ChangePolicy = HOLD) -> str:
    with bench.sessions.begin() as session:
        return merge_patient(session, PatientMerge(prior, surviving), policy, "M1", bench.clock())


def arrive(bench: Workbench, policy: ChangePolicy = HOLD) -> None:
    with bench.sessions.begin() as session:
        check_arrived(session, policy, bench.clock())


def held_by(bench: Workbench) -> Holder:
    with bench.sessions() as session:
        return holder(session, bench.study().study_instance_uid)


def complete(bench: Workbench) -> None:
    """Close the study, as the dispatcher does before it looks for changes of patients."""
    with bench.sessions.begin() as session:
        close_complete_studies(session, bench.clock(), ASSEMBLY)


def analysed(bench: Workbench, images: list[Dataset]) -> None:
    bench.run(bench.submitted(*images))


@pytest.mark.parametrize(
    "stated",
    [
        patient(),
        patient("MUSTER^ANNA"),
        patient("", "", ""),
        patient(sex="O"),
        patient("Else^Eva", "19710203", authority="ELSEWHERE"),
        patient("Else^Eva", number="P-2"),
    ],
    ids=["same", "case", "silent", "other sex", "another authority", "another number"],
)
def test_a_message_that_contradicts_no_image_changes_nothing(
    bench: Workbench, anna: list[Dataset], stated: StatedPatient
) -> None:
    analysed(bench, anna)
    assert correct(bench, stated) == "0 studies concerned"
    assert bench.study().standing is Standing.FREE


@pytest.mark.parametrize(
    ("stated", "facts"),
    [
        (patient("Neumann^Anna"), "name differs"),
        (patient(born="19600113"), "birth date differs"),
        (patient(sex="M"), "sex differs"),
        (patient("Else^Eva", "19710203"), "name and birth date differ"),
        (patient("Neumann^Anna", authority=""), "name differs"),
    ],
)
def test_unsent_results_are_held_with_the_facts_that_differ(
    bench: Workbench, anna: list[Dataset], stated: StatedPatient, facts: str
) -> None:
    analysed(bench, anna)
    correct(bench, stated)
    assert bench.study().standing_reason == f"the patient was corrected after the images were made: {facts}"
    assert held_by(bench) is Holder.PATIENT
    assert bench.deliver(Archive()) == 0
    with bench.sessions.begin() as session:
        release(session, bench.order())
    assert correct(bench, stated) == "0 studies concerned"
    assert bench.study().standing is Standing.FREE
    correct(bench, patient("Other^Anna"))
    assert bench.study().standing is Standing.HELD


def test_every_identifier_of_a_message_is_compared(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    elsewhere, here = PatientIdentifier("P1", "ELSEWHERE"), PatientIdentifier("P1", "HOSP")
    assert correct(bench, StatedPatient((elsewhere, here), "Neumann^Anna")) == "1 study concerned"


def sent(bench: Workbench, images: list[Dataset]) -> None:
    analysed(bench, images)
    archive = Archive()
    while bench.deliver(archive):
        continue


CONTRADICTIONS: dict[str, Callable[[Workbench], object]] = {
    "corrected": lambda bench: correct(bench, patient("Else^Eva", "19710203")),
    "corrected, follow": lambda bench: correct(bench, patient("Neumann^Anna"), FOLLOW),
    "merged": lambda bench: merge(bench, PatientIdentifier("P1", "HOSP"), patient(number="P-2")),
    "merged, follow": lambda bench: merge(bench, PatientIdentifier("P1", "HOSP"), patient(number="P-2"), FOLLOW),
}


@pytest.mark.parametrize("contradict", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_study_whose_results_were_sent_is_held_until_a_person_has_dealt_with_them(
    bench: Workbench, anna: list[Dataset], contradict: Callable[[Workbench], object]
) -> None:
    sent(bench, anna)
    with capture_logs() as logged:
        contradict(bench)
    assert {one["log_level"] for one in logged if one["event"] == "patient_changed"} == {"warning"}
    uid = bench.study().study_instance_uid
    with bench.sessions() as session:
        told = held(session)[uid]
    assert "archive already had results for the patient as the images name her: correct them there" in told
    assert {one.state for one in bench.deliveries()} == {DeliveryState.STORED}
    with bench.sessions.begin() as session:
        release(session, bench.order())
    contradict(bench)
    assert bench.study().standing is Standing.FREE


def test_sent_results_stay_and_later_results_of_the_study_wait(bench: Workbench, anna: list[Dataset]) -> None:
    sent(bench, anna[:2])
    correct(bench, patient("Neumann^Anna"), FOLLOW)
    assert {one.state for one in bench.deliveries()} == {DeliveryState.STORED}
    bench.receive(anna[2])
    bench.clock.turn(4000)
    complete(bench)
    arrive(bench, FOLLOW)
    assert bench.study().standing is Standing.HELD


def test_results_follow_a_correction_under_new_uids(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    before = {one.sop_instance_uid for one in bench.deliveries()}
    correct(bench, patient("Neumann^Anna"), FOLLOW)
    assert bench.study().state is StudyState.RECEIVING
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    bench.clock.turn(4000)
    (job,) = bench.dispatch()
    bench.run(job)
    new = [one for one in bench.deliveries() if one.sop_instance_uid not in before]
    assert len(new) == len(before)
    assert {one.state for one in new} == {DeliveryState.PENDING}


@pytest.mark.parametrize(
    "policy_and_patient",
    [
        (FOLLOW, patient("Else^Eva", "19710203")),
        (ChangePolicy("", True, True), patient("Neumann^Anna")),
        (FOLLOW, patient("Neumann^Anna", authority="ELSEWHERE")),
    ],
    ids=["name and birth date", "unknown authority", "another authority"],
)
def test_results_never_follow_in_doubt(
    bench: Workbench, anna: list[Dataset], policy_and_patient: tuple[ChangePolicy, StatedPatient]
) -> None:
    policy, stated = policy_and_patient
    analysed(bench, anna)
    correct(bench, stated, policy)
    with bench.sessions() as session:
        assert patient_changes.followed(session, bench.study().study_instance_uid) is None
    assert {one.state for one in bench.deliveries()} == {DeliveryState.PENDING}


def test_a_second_correction_of_a_study_that_follows_waits_for_a_person(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    for name in ("Neumann^Anna", "Muster^Anna"):
        correct(bench, patient(name), FOLLOW)
    assert bench.study().standing is Standing.HELD


def test_a_study_that_a_person_holds_is_not_followed(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    with bench.sessions.begin() as session:
        hold(session, bench.order("wait for me"))
    correct(bench, patient("Neumann^Anna"), FOLLOW)
    assert bench.study().standing_reason.endswith("name differs; before: wait for me")


PRIOR = PatientIdentifier("P1", "HOSP")
CHANGES: list[Callable[[Workbench], object]] = [
    lambda bench: merge(bench, PRIOR, patient(number="P-2"), FOLLOW),
    lambda bench: [
        merge(bench, PRIOR, patient(number="P-3"), FOLLOW),
        merge(bench, PatientIdentifier("P-3", "HOSP"), patient(number="P-2"), FOLLOW),
    ],
]


@pytest.mark.parametrize("changes", CHANGES, ids=["one merge", "a chain"])
def test_results_of_a_study_that_arrives_after_a_merge_name_the_surviving_patient(
    bench: Workbench, anna: list[Dataset], changes: Callable[[Workbench], object]
) -> None:
    changes(bench)
    bench.receive(*anna)
    bench.clock.turn(4000)
    complete(bench)
    arrive(bench, FOLLOW)
    with bench.sessions() as session:
        found = patient_changes.followed(session, bench.study().study_instance_uid)
    assert found is not None
    assert found.patient_id == "P-2"


@pytest.mark.parametrize(
    "surviving",
    [patient(born="19600113", number="P-2"), patient(sex="M", number="P-2"), patient(number="P-2")],
    ids=["birth date", "sex", "not sure of the authority"],
)
def test_a_merge_in_doubt_holds_the_study(bench: Workbench, anna: list[Dataset], surviving: StatedPatient) -> None:
    policy = ChangePolicy("", True, True) if surviving == patient(number="P-2") else FOLLOW
    analysed(bench, anna)
    merge(bench, PRIOR, surviving, policy)
    assert bench.study().standing is Standing.HELD


def test_a_merge_of_another_authority_concerns_no_study(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    assert merge(bench, PatientIdentifier("P1", "ELSEWHERE"), patient(number="P-2")) == "0 studies concerned"
    bench.receive(*anna)
    arrive(bench)
    assert bench.study().standing is Standing.FREE


def test_a_first_read_releases_only_what_a_rule_holds(bench: Workbench, anna: list[Dataset]) -> None:
    analysed(bench, anna)
    read = OrderMessage(OrderStep.REPORTED, PRIOR, study_instance_uid=bench.study().study_instance_uid)
    order = bench.order("wait for me")
    with bench.sessions.begin() as session:
        imaging_orders.merge_message(session, read, bench.clock(), read_at=bench.clock())
        hold(session, order)
    with bench.sessions.begin() as session:
        assert release_read_studies(session, bench.clock(), "HOSP") == 0
    assert bench.study().standing is Standing.HELD
