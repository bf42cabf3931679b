"""Rules about results: where results go, as which kinds, and when, by what the analysis found."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset

from glam_node.node.audit.message import Reporter
from glam_node.node.db import audit, audit_messages
from glam_node.node.domain.alert import AlertMessage, AlertPolicy
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import Priority
from glam_node.node.domain.prior_comparison import PriorExam
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.node.domain.study import Standing, StudyState
from glam_node.node.workflow.analyse.result_rules import result_values
from glam_node.node.workflow.operate.standing import hold, release, release_when_due
from glam_node.node.workflow.record.alerts import send_alerts, update_alerts
from glam_node.node.workflow.record.audit_trail import write_audit_messages
from glam_node.node.workflow.record.event_messages import Reporting
from glam_node.rules.fields import RESULT_FIELDS
from glam_node.rules.grammar import parse
from tests.unit.results.analysed import analysed_exam, failed
from tests.unit.workflow.workbench import BOTH, Archive, Workbench, act

TWO = {"archive": BOTH, "trial": ("segmentation",)}


def rule(when: str, action: Action = Action.ANALYSE, name: str = "found", **fields: object) -> SiteRule:
    return SiteRule(name, parse(when), action, of_results=True, **fields)  # type: ignore[arg-type]


def released(bench: Workbench) -> int:
    with bench.sessions.begin() as session:
        return release_when_due(session, bench.clock())


def test_a_rule_about_results_chooses_the_destinations(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = TWO
    bench.site = (
        rule("findings > 1000", name="never", destinations=("trial",)),
        rule("findings > 0", destinations=("archive",)),
    )
    job = bench.submitted(*exam)
    assert job.routing.rule == ""
    bench.run(job)
    assert {one.destination for one in bench.deliveries()} == {"archive"}
    study = bench.study()
    assert (study.state, study.rule) == (StudyState.REPORTED, "rules.found")
    assert study.reason == "findings > 0 holds for 4 of 4 images; the results go to archive"
    with bench.sessions() as session:
        (event,) = audit.recent(session, EventKind.JOB_SUCCEEDED, 2)
    assert (event.detail["rule"], event.detail["reason"]) == ("rules.found", study.reason)


@pytest.mark.parametrize("priority", list(Priority))
def test_a_rule_about_results_chooses_their_priority(bench: Workbench, exam: list[Dataset], priority: Priority) -> None:
    bench.site = (rule("findings > 0", priority=priority),)
    job = bench.submitted(*exam)
    bench.run(job)
    assert job.priority is Priority.SCREENING
    assert {one.priority for one in bench.deliveries()} == {priority}
    assert bench.study().reason.endswith(f"the results are sent with priority {priority.name.lower()}")
    assert bench.job().routing.priority is priority


def test_results_go_their_usual_way_if_no_rule_about_results_holds(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = TWO
    bench.site = (rule("findings == 0", destinations=("archive",)),)
    bench.run(bench.submitted(*exam))
    assert {one.destination for one in bench.deliveries()} == {"archive", "trial"}
    assert bench.study().rule != "rules.found"


def test_a_rule_about_results_keeps_the_destinations_and_the_shadow_of_the_rule_before(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.destinations = TWO
    before = SiteRule("before", parse("Rows == 64"), Action.SHADOW, destinations=("archive",))
    bench.site = (before, rule("findings > 0", results=("segmentation",)))
    bench.run(bench.submitted(*exam))
    assert {(one.destination, one.state) for one in bench.deliveries()} == {("archive", DeliveryState.WITHHELD)}
    assert bench.job().submitted_routing is not None


def test_a_rule_about_results_chooses_kinds_among_those_that_a_destination_asks_for(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.destinations = TWO
    bench.site = (rule("findings > 0", results=("measurement_report", "encapsulated_pdf")),)
    bench.run(bench.submitted(*exam))
    (delivery,) = bench.deliveries()
    assert (delivery.destination, delivery.sop_class_uid) == ("archive", "1.2.840.10008.5.1.4.1.1.88.34")
    assert len(bench.results()) == 1


def test_kinds_that_a_rule_left_out_do_not_count_as_lacking(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("findings > 0", results=("measurement_report",)),)
    bench.run(bench.submitted(*exam))
    bench.deliver(Archive())
    assert "will be written" not in act(bench, stored=True)


def test_results_in_shadow_are_made_and_not_sent(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("findings > 0", Action.SHADOW),)
    bench.run(bench.submitted(*exam))
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    assert "in shadow, nothing is sent" in bench.study().reason


def test_a_rule_may_ask_about_header_and_results_at_once(bench: Workbench, exam: list[Dataset]) -> None:
    exam = deepcopy(exam)
    for number, image in enumerate(exam):
        image.StationName = f"ROOM{number}"
    bench.site = (rule('StationName == "ROOM1" and benign_score >= 0', Action.SHADOW),)
    bench.run(bench.submitted(*exam))
    assert bench.study().reason.startswith('StationName == "ROOM1" and benign_score >= 0 holds for 1 of 4 images')


def test_held_results_are_sent_only_after_a_person_releases_them(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("images > 0", Action.HOLD),)
    bench.run(bench.submitted(*exam))
    study, archive = bench.study(), Archive()
    assert (study.state, study.standing) == (StudyState.REPORTED, Standing.HELD)
    assert study.standing_reason == "rules.found holds the results until a person releases the study"
    bench.clock.turn(timedelta(days=300).total_seconds())
    assert (released(bench), bench.deliver(archive), archive.received) == (0, 0, [])
    with bench.sessions.begin() as session:
        release(session, bench.order())
    with bench.sessions.begin() as session:
        hold(session, bench.order("released too early"))
    assert bench.deliver(archive) == 0
    with bench.sessions.begin() as session:
        release(session, bench.order())
    assert bench.deliver(archive) == len(bench.deliveries())
    assert [kind for kind in bench.events() if kind.startswith("study_")][-4:] == [
        "study_held",
        "study_released",
        "study_held",
        "study_released",
    ]


def test_a_hold_with_a_time_ends_by_itself(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("images > 0", Action.HOLD, hold_time_s=3600.0),)
    bench.run(bench.submitted(*exam))
    assert bench.study().reason.endswith("the results are sent after 3600 s, or when a person releases the study")
    bench.clock.turn(3590)
    assert (released(bench), bench.deliver(Archive())) == (0, 0)
    bench.clock.turn(11)
    assert (released(bench), bench.study().standing) == (1, Standing.FREE)
    assert released(bench) == 0
    assert bench.deliver(Archive()) == len(bench.deliveries())


def test_the_time_of_a_rule_does_not_end_the_hold_of_a_person(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("images > 0", Action.HOLD, hold_time_s=60.0),)
    bench.run(bench.submitted(*exam))
    for change in (release, hold):
        with bench.sessions.begin() as session:
            change(session, bench.order("to be read again"))
    bench.clock.turn(3600)
    assert (released(bench), bench.study().standing) == (0, Standing.HELD)


def test_results_for_another_destination_that_a_person_asks_for_are_not_held_again(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.destinations = TWO
    bench.site = (rule("images > 0", Action.HOLD, destinations=("archive",)),)
    bench.run(bench.submitted(*exam))
    with bench.sessions.begin() as session:
        release(session, bench.order())
    assert "the results that trial lacks will be written" in act(bench, "trial")
    bench.run(bench.job())
    assert bench.study().standing is Standing.FREE
    assert {one.destination for one in bench.deliveries()} == {"archive", "trial"}


def test_a_study_without_results_to_send_is_not_held(bench: Workbench, exam: list[Dataset]) -> None:
    bench.shadow = frozenset({"archive"})
    bench.site = (rule("images > 0", Action.HOLD),)
    bench.run(bench.submitted(*exam))
    assert bench.study().standing is Standing.FREE


def test_a_study_that_is_judged_again_is_not_analysed_again_for_its_rule_about_results(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.destinations = TWO
    bench.site = (rule("findings > 0", destinations=("archive",)),)
    bench.run(bench.submitted(*exam))
    late = deepcopy(exam[0])
    late.SOPInstanceUID, late.PresentationIntentType = "2.25.777", "FOR PROCESSING"
    assert bench.submitted_again(late) == []
    assert (bench.study().state, bench.events().count("study_complete")) == (StudyState.REPORTED, 2)


def test_every_field_of_results_has_a_value_after_an_analysis() -> None:
    exam = analysed_exam()
    parameters = tuple((f"{kind}.image_score_threshold", "0.5") for kind in ("benign", "malignant"))
    remarked = replace(exam.image("L CC"), remarks=("Tissue may be cut off.",))
    exam = exam.with_images(failed(exam.image("R CC"), "The image is black."), remarked)
    findings = replace(exam.findings, algorithm=replace(exam.findings.algorithm, parameters=parameters))
    prior = PriorExam(
        study_instance_uid="1.2",
        study_date="20230405",
        algorithm="GLAM 1",
        same_model=True,
        study_scores={"benign": 0.5, "malignant": 0.25},
        breast_scores={},
        changes={"benign": 0.25, "malignant": -0.125},
        breast_changes={},
        images=(),
        compared_views=("L CC",),
    )
    values = result_values(findings, [prior])
    assert values.keys() == RESULT_FIELDS.keys()
    assert (values["prior_exams"], values["malignant_change"], values["benign_change"]) == ((1.0,), (-0.125,), (0.25,))
    assert values["new_findings"] == (float(len(exam.image("L CC").findings)),)
    other = result_values(findings, [replace(prior, same_model=False, changes={})])
    assert RESULT_FIELDS.keys() - other.keys() == {"malignant_change", "benign_change", "new_findings"}
    assert values["malignant_score"] == (max(image.malignant_score or 0 for image in findings.images),)
    assert (values["malignant_images"], values["benign_images"]) == ((2.0,), (2.0,))
    assert (values["findings"], values["remarks"], values["images_not_analysed"]) == ((4.0,), (1.0,), (1.0,))


def test_a_study_without_any_score_has_no_value_for_scores() -> None:
    exam = analysed_exam()
    none = exam.with_images(*(failed(image, "The image is black.") for image in exam.findings.images))
    assert set(result_values(none.findings)) == {"findings", "remarks", "images_not_analysed", "prior_exams"}


@pytest.mark.parametrize("field", RESULT_FIELDS)
def test_a_field_of_results_is_a_number_that_rules_may_use(field: str) -> None:
    assert str(parse(f"{field} >= 0.5")) == f"{field} >= 0.5"


def test_the_audit_trail_names_the_node_that_held_a_study_and_the_person_who_released_it(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.site = (rule("images > 0", Action.HOLD),)
    bench.run(bench.submitted(*exam))
    with bench.sessions.begin() as session:
        release(session, bench.order())
    bench.clock.turn(600)
    write_audit_messages(bench.sessions, Reporting(Reporter("GLAMNODE", "", "node"), {}), bench.store, bench.clock())
    with bench.sessions() as session:
        messages = [ElementTree.fromstring(one.message) for one in reversed(audit_messages.recent(session, 50))]
    acts = [one for one in messages if b"Procedure Record" in ElementTree.tostring(one)]
    assert [next(one.iter("ActiveParticipant")).attrib["UserID"] for one in acts] == ["GLAMNODE", "anna"]


def test_a_rule_that_notifies_sends_one_message_to_each_channel(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("findings > 0", notify=True),)
    bench.run(bench.submitted(*exam))
    got: dict[str, list[AlertMessage]] = {"webhook": [], "mail": []}
    policy = AlertPolicy(frozenset(), 1, 1, 1, 1, 1)
    for _ in range(2):
        update_alerts(bench.sessions, policy, [], (2**40, 0), list(got), bench.clock())
        while send_alerts(bench.sessions, {name: found.append for name, found in got.items()}, bench.clock):
            continue
    uid = bench.study().study_instance_uid
    for messages in got.values():
        (message,) = messages
        assert (message.title, message.phase) == ("rule (rules.found)", "notice")
        assert message.fact == f"Study {uid}: findings > 0 holds for 4 of 4 images; the results are sent."
        assert not {exam[0].PatientID, str(exam[0].PatientName)} & set(message.fact.split())
