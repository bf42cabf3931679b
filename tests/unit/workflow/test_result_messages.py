"""HL7 messages as results: written once, queued for their destination, and about the objects that others get."""

from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.ports import StoreOutcome
from glam_node.node.domain.routing import SiteRule
from glam_node.node.hl7.message import Message, parse
from glam_node.node.results.message_form import MessageForm
from glam_node.node.workflow.analyse.context import Audience
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.result_kinds import SOP_CLASSES
from glam_node.rules.grammar import parse as parse_rule
from tests.integration.modality import small_exam
from tests.unit.workflow.workbench import Archive, Workbench, act

BOTH = ("result_message", "not_analysed_report")


def engine(name: str = "ris", **form: object) -> Audience:
    """Return the group of an HL7 destination."""
    return Audience({name: BOTH}, message=replace(MessageForm(name), **form))  # type: ignore[arg-type]


@pytest.fixture
def bench(bench: Workbench) -> Workbench:
    bench.others = (engine(),)
    return bench


def messages_for(bench: Workbench, destination: str = "ris") -> list[Delivery]:
    return [one for one in bench.deliveries() if one.destination == destination]


def read(bench: Workbench, delivery: Delivery) -> Message:
    return parse(bench.store.resolve(delivery.path).read_bytes())


def objects_in(message: Message) -> set[str]:
    found = [one.component(5) for one in message.segments if one.field(2) == "RP"]
    return {path.rpartition("/")[2] for path in found}


def test_a_message_is_queued_beside_the_objects_and_refers_to_them(bench: Workbench) -> None:
    exam = small_exam(11)
    bench.run(bench.submitted(*exam))
    (message,) = messages_for(bench)
    assert (message.state, message.sop_class_uid) == (DeliveryState.PENDING, "")
    assert message.path.endswith(".hl7")
    sent = {one.sop_instance_uid for one in bench.deliveries() if one.destination == "archive"}
    read_back = read(bench, message)
    assert objects_in(read_back) == sent
    assert read_back.segments[1].component(3) == exam[0].PatientID


def test_a_job_that_runs_again_keeps_its_message(bench: Workbench) -> None:
    bench.run(bench.submitted(*small_exam(11)))
    (before,) = messages_for(bench)
    path = bench.store.resolve(before.path)
    content = path.read_bytes()
    bench.others = (engine(sending_facility="OTHER"), Audience({"more": ("measurement_report",)}))
    act(bench, "more")
    assert bench.run(bench.job())
    assert messages_for(bench) == [before]
    assert path.read_bytes() == content
    assert {one.destination for one in bench.deliveries()} == {"archive", "ris", "more"}


def test_a_destination_that_was_added_later_gets_its_message_on_request(bench: Workbench) -> None:
    bench.others = ()
    bench.run(bench.submitted(*small_exam(11)))
    bench.others = (engine(),)
    assert "ris" in act(bench, "ris")
    assert bench.run(bench.job())
    (message,) = messages_for(bench)
    assert len(objects_in(read(bench, message))) == 5


def test_each_destination_has_its_own_message(bench: Workbench) -> None:
    bench.others = (engine(), engine("other", result_status="F"))
    bench.run(bench.submitted(*small_exam(11)))
    first, second = messages_for(bench)[0], messages_for(bench, "other")[0]
    assert read(bench, first).control_id != read(bench, second).control_id


def test_a_study_that_is_analysed_again_has_a_message_that_corrects_the_first(bench: Workbench) -> None:
    bench.others = (engine(result_status="F"),)
    exam = small_exam(11)
    bench.run(bench.submitted(*exam[:3]))
    (job,) = bench.submitted_again(exam[3])
    bench.run(job)
    by_job = {one.job_id: read(bench, one) for one in messages_for(bench)}
    assert len({one.control_id for one in by_job.values()}) == 2
    statuses = {job_id: one.segments[2].field(25) for job_id, one in by_job.items()}
    assert statuses == {bench.jobs()[1].job_id: "F", bench.jobs()[0].job_id: "C"}


def test_objects_for_a_destination_in_shadow_are_not_named(bench: Workbench) -> None:
    bench.shadow = frozenset({"archive"})
    bench.run(bench.submitted(*small_exam(11)))
    (message,) = messages_for(bench)
    assert objects_in(read(bench, message)) == set()


def test_a_rule_that_chooses_other_kinds_leaves_out_the_message(bench: Workbench) -> None:
    reports = ("measurement_report",)
    bench.site = (SiteRule("reports", parse_rule("findings >= 0"), of_results=True, results=reports),)
    bench.run(bench.submitted(*small_exam(11)))
    assert messages_for(bench) == []
    assert len(bench.deliveries()) == 1


def test_a_message_for_a_destination_in_shadow_is_kept(bench: Workbench) -> None:
    bench.shadow = frozenset({"ris"})
    bench.run(bench.submitted(*small_exam(11)))
    assert [one.state for one in messages_for(bench)] == [DeliveryState.WITHHELD]


def test_a_broken_template_leaves_the_objects_and_is_written_after_a_retry(bench: Workbench, tmp_path: Path) -> None:
    template = tmp_path / "site.j2"
    template.write_text("MSH|^~\\&|{{ nobody }}")
    bench.others = (engine(template=template),)
    bench.run(bench.submitted(*small_exam(11)))
    job = bench.job()
    assert (job.state, len(messages_for(bench))) == (JobState.SUCCEEDED, 0)
    assert "line 1" in job.failure
    assert "destinations.ris.template" in job.failure
    assert len(bench.deliveries()) == 5
    template.write_text("MSH|^~\\&|x||||||ORU^R01|{{ message.control_id }}")
    with bench.sessions.begin() as session:
        retry_study(session, bench.order(), bench.context)
    assert bench.run(bench.job())
    assert len(messages_for(bench)) == 1


def test_a_study_that_is_not_analysed_is_told_where_the_destination_asks_for_it(bench: Workbench) -> None:
    exam = small_exam(11)
    for image in exam:
        image.PresentationIntentType = "FOR PROCESSING"
    bench.destinations = {"archive": ("not_analysed_report",)}
    bench.receive(*exam)
    bench.clock.turn(300)
    bench.dispatch()
    assert bench.run(bench.job())
    (message,) = messages_for(bench)
    read_back = read(bench, message)
    (report,) = [one for one in bench.deliveries() if one.destination == "archive"]
    assert report.sop_class_uid == SOP_CLASSES["not_analysed_report"]
    assert objects_in(read_back) == {report.sop_instance_uid}
    assert any(one.component(5) == "111225" for one in read_back.segments)


def test_messages_are_delivered_and_given_up_as_other_results(bench: Workbench) -> None:
    bench.run(bench.submitted(*small_exam(11)))
    rejected = Archive("ris", answer=lambda one: _rejected(one.sop_instance_uid))
    bench.deliver(rejected)
    (message,) = messages_for(bench)
    assert (message.state, message.failure) == (DeliveryState.ABANDONED, "answered AR")


def _rejected(uid: str) -> StoreOutcome:
    return StoreOutcome(uid, False, None, False, "answered AR")
