"""Requests to retry a study."""

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, RetryPolicy
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.retry import RetryReport, retry_study
from tests.builders import four_views
from tests.unit.workflow.workbench import Archive, Workbench, down, unsupported


def retry(bench: Workbench) -> RetryReport:
    with bench.sessions.begin() as session:
        return retry_study(session, bench.order(), bench.context)


def test_a_failed_job_starts_over(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(exam[0])
    images = list(bench.store.root.glob("instances/*/*.dcm"))
    hidden = images[0].rename(images[0].with_suffix(".hidden"))
    images[0].mkdir()
    for _ in range(3):
        bench.run(job)
        bench.clock.turn(600)
    assert bench.job().state is JobState.FAILED
    images[0].rmdir()
    hidden.rename(images[0])
    assert retry(bench).job_id == job.job_id
    assert bench.run(job)
    assert (bench.job().state, bench.job().attempt) == (JobState.SUCCEEDED, 1)


def test_abandoned_deliveries_are_sent_again(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive(answer=unsupported))
    assert retry(bench).deliveries == 2
    assert bench.deliver(Archive()) == 2
    assert {delivery.state for delivery in bench.deliveries()} == {DeliveryState.STORED}


def test_deliveries_that_wait_long_for_their_next_attempt_go_at_once(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[0]))
    bench.deliver(Archive(answer=down), RetryPolicy(900, 1, 900, 10))
    assert bench.deliver(Archive()) == 0
    retry(bench)
    assert bench.deliver(Archive()) == 1


def test_a_study_is_read_again_with_other_settings_and_its_report_names_the_first(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.destinations = {"archive": ("measurement_report",)}
    bench.run(bench.submitted(exam[0]))
    assert not retry(bench).did_something
    bench.settings_digest = "other settings"
    bench.clock.turn(60)
    assert retry(bench).judged_again
    (job,) = bench.dispatch()
    assert bench.run(job)
    first, second = (delivery.sop_instance_uid for delivery in bench.deliveries())
    report = dcmread(bench.results()[second])
    (series,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence] == [first]
    assert bench.study().state is StudyState.REPORTED


def test_an_ineligible_study_is_judged_again(bench: Workbench) -> None:
    bench.record(*four_views(presentation_intent_type="FOR PROCESSING"))
    bench.clock.turn(300)
    bench.dispatch()
    assert retry(bench).judged_again
    bench.dispatch()
    assert bench.study().state is StudyState.INELIGIBLE
    assert bench.events().count("study_ineligible") == 2


def test_a_study_without_failures_is_left_as_it_is(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[0]))
    bench.deliver(Archive())
    report = retry(bench)
    assert not report.did_something
    assert str(report).startswith("there is nothing to retry")


def test_the_report_says_what_was_done() -> None:
    assert str(RetryReport("2.25.1", "j1", 2, judged_again=True)) == (
        "the rules are applied to the study again; job j1 starts over; 2 results will be sent again"
    )


def test_an_unknown_study_is_an_error(bench: Workbench) -> None:
    order = Order("2.25.404", Actor("anna", "10.0.0.7"), bench.clock())
    with bench.sessions() as session, pytest.raises(PermanentError, match="not known"):
        retry_study(session, order, bench.context)


def test_a_retry_is_in_the_timeline(bench: Workbench) -> None:
    bench.record(*four_views())
    retry(bench)
    assert bench.events() == ["retry_requested"]
