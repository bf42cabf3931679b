"""Routing rules: studies are analysed or not, and results are sent, withheld, or only recorded."""

import pydicom
import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import audit
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.deliver.send_results import withhold
from glam_node.rules.grammar import parse
from tests.unit.workflow.workbench import BOTH, Archive, Workbench

TWO = {"archive": BOTH, "trial": ("segmentation",)}


def rule(when: str = "Rows == 64", action: Action = Action.ANALYSE, **fields: object) -> SiteRule:
    return SiteRule("site", parse(when), action, **fields)  # type: ignore[arg-type]


def details(bench: Workbench, event: str) -> dict[str, object]:
    with bench.sessions() as session:
        (found,) = audit.recent(session, EventKind(event), 5)
    return dict(found.detail)


def test_results_go_to_the_destinations_of_the_rule_alone(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = TWO
    bench.site = (rule(destinations=("trial",), priority=Priority.URGENT),)
    job = bench.submitted(*exam)
    assert bench.run(job)
    assert (job.priority, bench.study().rule) == (Priority.URGENT, "rules.site")
    assert {(one.destination, one.state) for one in bench.deliveries()} == {("trial", DeliveryState.PENDING)}
    assert bench.deliver(Archive("archive")) == 0


def test_results_of_a_study_in_shadow_are_made_and_not_sent(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule(action=Action.SHADOW),)
    bench.run(bench.submitted(*exam))
    assert (bench.study().state, bench.job().state) == (StudyState.REPORTED, JobState.SUCCEEDED)
    assert len(bench.results()) == len(bench.deliveries()) > 1
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    assert details(bench, "job_succeeded")["withheld"] == len(bench.deliveries())
    archive = Archive()
    assert (bench.deliver(archive), archive.received) == (0, [])


def test_a_destination_in_shadow_gets_nothing_and_the_other_all(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations, bench.shadow = TWO, frozenset({"trial"})
    bench.run(bench.submitted(*exam))
    states = {(one.destination, one.state) for one in bench.deliveries()}
    assert states == {("archive", DeliveryState.PENDING), ("trial", DeliveryState.WITHHELD)}


def test_a_dry_run_records_the_results_that_a_destination_would_get(bench: Workbench, exam: list[Dataset]) -> None:
    bench.dry_run = {"trial": ("segmentation", "parametric_map")}
    bench.run(bench.submitted(*exam))
    assert details(bench, "job_succeeded")["would_send"] == {"trial": ["segmentation", "parametric_map"]}
    assert {one.destination for one in bench.deliveries()} == {"archive"}


@pytest.mark.parametrize("action", [Action.IGNORE, Action.DRY_RUN])
def test_a_study_that_a_rule_stops_is_not_analysed_and_the_rule_is_recorded(
    bench: Workbench, exam: list[Dataset], action: Action
) -> None:
    bench.site = (rule(action=action),)
    bench.receive(*exam)
    bench.clock.turn(300)
    assert bench.dispatch() == []
    study = bench.study()
    assert (study.state, study.rule, bench.jobs()) == (StudyState.INELIGIBLE, "rules.site", [])
    assert study.reason.startswith("Rows == 64 holds for 4 of 4 images")
    assert ("dry run: 4 images would be analysed" in study.reason) is (action is Action.DRY_RUN)


def test_a_dry_run_makes_no_notice(bench: Workbench, exam: list[Dataset]) -> None:
    bench.destinations = {"archive": ("not_analysed_report",)}
    bench.receive(*exam)
    bench.site = (rule(action=Action.DRY_RUN),)
    bench.clock.turn(300)
    bench.dispatch()
    assert bench.jobs() == []


def test_a_study_with_new_routing_is_analysed_again(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule(action=Action.SHADOW),)
    bench.run(bench.submitted(*exam[:3]))
    bench.site = (rule(action=Action.SHADOW, destinations=("archive",)),)
    (job,) = bench.submitted_again(exam[3])
    assert job.routing.destinations == ("archive",)


def test_results_that_wait_for_a_destination_that_is_no_longer_live_are_withheld(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.run(bench.submitted(*exam))
    assert withhold(bench.sessions, "archive", bench.clock()) == len(bench.deliveries())
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    assert bench.events().count("result_withheld") == len(bench.deliveries())


def test_a_withheld_report_is_not_named_by_the_next_one(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule(action=Action.SHADOW),)
    bench.run(bench.submitted(*exam[:3]))
    first = set(bench.results())
    bench.site = ()
    (job,) = bench.submitted_again(exam[3])
    bench.run(job)
    reports = [pydicom.dcmread(path) for uid, path in bench.results().items() if uid not in first]
    assert not any("PredecessorDocumentsSequence" in one for one in reports)


def test_an_image_without_its_file_has_no_header_fields(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (rule("Manufacturer is present", Action.IGNORE),)
    bench.receive(*exam)
    for instance in bench.study().instances:
        bench.store.resolve(instance.path).unlink()
    bench.clock.turn(300)
    assert len(bench.dispatch()) == 1
