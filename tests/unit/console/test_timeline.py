"""The timeline of a study from its recorded events."""

from typing import Any

from glam_node.node.console.timeline import HIDDEN_DETAILS, NAMES, OF_NO_STUDY, steps
from glam_node.node.domain.event import EventDetail, EventKind
from tests.builders import after


def event(seconds: float, name: str, **detail: Any) -> dict[str, Any]:
    return {"at": after(seconds), "event": EventKind(name), "detail": detail}


def job(**stage_seconds: float) -> dict[str, Any]:
    return {"job_id": "j", "stage_seconds": stage_seconds}


def test_consecutive_instances_are_shown_as_the_first_and_the_last() -> None:
    came = [event(number, "instance_stored", calling_ae_title="PACS", byte_count=2_000_000) for number in range(4)]
    first, last, whole = steps([*came, event(13.5, "study_complete", rule="settle_time")], [])
    assert (first.name, first.at, first.seconds, first.detail) == (
        "first instance received",
        after(0),
        None,
        "from PACS",
    )
    assert (last.at, last.seconds, last.detail) == (after(3), 3.0, "4 instances, 8.0 MB")
    assert (whole.name, whole.seconds, whole.detail) == ("complete", 10.5, "rule: settle_time")


def test_a_late_instance_has_its_own_place_in_the_timeline() -> None:
    told = steps([event(0, "instance_stored"), event(1, "study_complete"), event(2, "instance_stored")], [])
    assert [step.name for step in told] == ["one instance received", "complete", "one instance received"]


def test_stages_come_before_the_results_and_fill_the_analysis() -> None:
    events = [
        event(0, "job_started", job_id="j"),
        event(4, "result_written", job_id="j", kind="segmentation"),
        event(4, "job_succeeded", job_id="j"),
    ]
    told = steps(events, [job(read=1.0, write=3.0)])
    assert [step.name for step in told] == [
        "claimed by a worker",
        "read",
        "write",
        "result written",
        "analysed, results handed to delivery",
    ]
    assert [(step.seconds, step.begins, step.part) for step in told[1:3]] == [(1.0, 0.0, 0.25), (3.0, 0.25, 0.75)]
    assert told[3].seconds == 4.0


def test_a_failure_is_marked_and_technical_details_are_hidden() -> None:
    (step,) = steps([event(0, "result_failed", failure="no answer", sop_class_uid="1.2", destination="archive")], [])
    assert step.failed
    assert step.detail == "failure: no answer; destination: archive"


def test_every_kind_of_event_either_has_a_name_in_the_timeline_or_belongs_to_no_study() -> None:
    assert NAMES.keys() | OF_NO_STUDY == set(EventKind)
    assert not NAMES.keys() & OF_NO_STUDY
    assert steps([event(0, "study_held")], [])[0].name == "study held"


def test_hidden_details_are_details_of_events() -> None:
    assert EventDetail.__annotations__.keys() >= set(HIDDEN_DETAILS)
