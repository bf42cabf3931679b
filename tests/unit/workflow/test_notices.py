"""Notices: reports that a study was not analysed, for destinations that want them."""

from copy import deepcopy

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.operate.retry import RetryReport, retry_study
from tests.builders import four_views, sop_instance
from tests.unit.workflow.workbench import BOTH, Archive, Failing, Workbench


@pytest.fixture
def told(bench: Workbench) -> Workbench:
    """Return a node whose archive wants notices."""
    bench.destinations = {"archive": (*BOTH, "not_analysed_report"), "viewer": BOTH}
    return bench


def for_processing(exam: list[Dataset]) -> list[Dataset]:
    images = deepcopy(exam)
    for image in images:
        image.PresentationIntentType = "FOR PROCESSING"
    return images


def sentences(bench: Workbench) -> list[str]:
    """Return the comments of every report on disk."""
    return [
        item.TextValue
        for path in bench.results().values()
        for container in dcmread(path).ContentSequence
        if container.ValueType == "CONTAINER" and "ContentSequence" in container
        for group in container.ContentSequence
        for item in group.get("ContentSequence", [])
        if item.ValueType == "TEXT"
    ]


def receive_and_judge(bench: Workbench, images: list[Dataset]) -> None:
    bench.receive(*images)
    bench.clock.turn(300)
    bench.dispatch()


def fail_for_good(bench: Workbench, exam: list[Dataset]) -> None:
    job, working = bench.submitted(*exam), bench.predictor
    bench.clock.turn(1)
    bench.predictor = Failing(working)  # type: ignore[assignment]
    assert bench.run(job)
    bench.predictor = working


def test_a_study_left_out_by_a_rule_has_a_report_with_the_rule(told: Workbench, exam: list[Dataset]) -> None:
    receive_and_judge(told, for_processing(exam))
    assert told.run(told.job())
    assert "This study was not analysed: rule for_processing_only: no image can be analysed: 4 for processing" in (
        sentences(told)
    )
    assert [delivery.destination for delivery in told.deliveries()] == ["archive"]
    assert (told.study().state, told.job().state) == (StudyState.INELIGIBLE, JobState.SUCCEEDED)


def test_an_analysis_that_failed_for_good_has_a_report_with_the_failure(told: Workbench, exam: list[Dataset]) -> None:
    fail_for_good(told, exam)
    assert [job.state for job in told.jobs()] == [JobState.PENDING, JobState.FAILED]
    assert told.run(told.job())
    assert any("analysis of this study failed" in one and "weights" in one for one in sentences(told))
    assert told.study().state is StudyState.SUBMITTED


def test_a_destination_that_does_not_ask_gets_no_notice(bench: Workbench, exam: list[Dataset]) -> None:
    receive_and_judge(bench, for_processing(exam))
    assert bench.jobs() == []


def test_a_study_of_two_patients_gets_no_notice(told: Workbench) -> None:
    told.record(*four_views(), sop_instance(patient_mismatch=True))
    told.clock.turn(300)
    told.dispatch()
    assert (told.study().rule, told.jobs()) == ("two_patients", [])


def retry(bench: Workbench) -> RetryReport:
    with bench.sessions.begin() as session:
        return retry_study(session, bench.order(), bench.context)


def test_a_notice_of_a_failure_is_not_written_once_the_job_is_retried(told: Workbench, exam: list[Dataset]) -> None:
    fail_for_good(told, exam)
    notice, failed = told.jobs()
    assert retry(told).job_id == failed.job_id
    assert told.run(notice)
    assert (told.results(), told.deliveries()) == ({}, [])
    assert told.run(failed)
    assert told.study().state is StudyState.REPORTED


def test_a_late_image_supersedes_a_waiting_notice(told: Workbench, exam: list[Dataset]) -> None:
    receive_and_judge(told, for_processing(exam)[:3])
    notice = told.job()
    analysis = told.submitted(exam[3])
    assert not told.run(notice)
    assert told.run(analysis)
    assert told.study().state is StudyState.REPORTED


def test_a_repeated_decision_sends_nothing_new(told: Workbench, exam: list[Dataset]) -> None:
    archive = Archive()
    receive_and_judge(told, for_processing(exam)[:2])
    told.run(told.job())
    told.deliver(archive)
    assert retry(told).judged_again
    told.clock.turn(300)
    told.dispatch()
    assert told.run(told.job())
    told.deliver(archive)
    assert len(archive.received) == 1


def test_a_notice_that_fails_is_not_announced_by_another(told: Workbench, exam: list[Dataset]) -> None:
    receive_and_judge(told, for_processing(exam))
    for path in told.store.root.glob("instances/*/*.dcm"):
        path.write_bytes(b"no DICOM")
    assert told.run(told.job())
    assert [job.state for job in told.jobs()] == [JobState.FAILED]
