"""Requests to send results again."""

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from glam_node.node.db import audit, backlog
from glam_node.node.domain.account import Actor
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, RetryPolicy
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.storage.findings import findings_path
from glam_node.node.workflow.operate.resend import Selection, resend, send_now
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.node.workflow.operate.standing import hold, release, set_aside
from glam_node.rules.grammar import parse
from tests.unit.workflow.workbench import BOTH, Archive, Workbench, down, full, unsupported

PATIENT = RetryPolicy(initial_delay_s=900, multiplier=1, maximum_delay_s=900, maximum_attempts=1000)


@pytest.fixture
def reported(bench: Workbench, exam: list[Dataset]) -> Workbench:
    """Return a node with two results for each of two archives."""
    bench.destinations = {"archive": BOTH, "other": BOTH}
    bench.run(bench.submitted(exam[1]))
    return bench


def act(bench: Workbench, destination: str = "", stored: bool = False) -> str:
    with bench.sessions.begin() as session:
        return resend(session, bench.order(), Selection(destination, stored), bench.context)


def test_resend_sends_given_up_results_and_not_stored_ones(reported: Workbench) -> None:
    reported.deliver(Archive(answer=unsupported))
    reported.deliver(Archive("other"))
    assert act(reported) == "2 results will be sent to archive again"
    archive, other = Archive(), Archive("other")
    assert (reported.deliver(archive), reported.deliver(other)) == (2, 0)
    assert {one.state for one in reported.deliveries()} == {DeliveryState.STORED}


def test_resend_with_stored_sends_stored_results_to_the_named_destination(reported: Workbench) -> None:
    archive, other = Archive(), Archive("other")
    reported.deliver(archive)
    reported.deliver(other)
    assert act(reported, "other", stored=True) == "2 results will be sent to other again"
    reported.deliver(archive)
    reported.deliver(other)
    assert (len(archive.received), len(other.received)) == (2, 4)
    assert set(other.received[:2]) == set(other.received[2:])


def test_asking_twice_sends_once(reported: Workbench) -> None:
    archive = Archive()
    reported.deliver(archive)
    act(reported, "archive", stored=True)
    with pytest.raises(PermanentError, match="Nothing was done"):
        act(reported, "archive", stored=True)
    reported.deliver(archive)
    assert len(archive.received) == 4


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("nowhere", r"no \[destinations\.nowhere\] .*: archive, dry, new, other"),
        ("new", "new asks for no result that study"),
        ("dry", r"destinations\.dry\.mode is dry_run\. Set it to live, run `glam-node settings reload`"),
    ],
)
def test_a_destination_without_results_or_settings_is_refused(
    reported: Workbench, destination: str, message: str
) -> None:
    reported.destinations = {"archive": BOTH, "other": BOTH, "new": ("not_analysed_report",)}
    reported.dry_run = {"dry": BOTH}
    with pytest.raises(PermanentError, match=message):
        act(reported, destination)


def test_a_removed_destination_is_left_out(reported: Workbench) -> None:
    reported.deliver(Archive(answer=unsupported))
    reported.destinations = {"other": BOTH}
    with pytest.raises(PermanentError, match="No result of study"):
        act(reported)


def test_a_held_study_is_released_first(reported: Workbench) -> None:
    with reported.sessions.begin() as session:
        hold(session, reported.order("wait"))
    with pytest.raises(PermanentError, match="Release it first"):
        act(reported)


def test_a_resend_is_recorded_with_its_person(reported: Workbench) -> None:
    reported.deliver(Archive(answer=unsupported))
    act(reported, "archive")
    with reported.sessions() as session:
        event = audit.timeline(session, reported.study().study_instance_uid)[-1]
    assert event.kind == "resend_requested"
    assert event.detail == {
        "account": "anna",
        "address": "10.0.0.7",
        "deliveries": {"archive": 2},
        "stored": False,
    }


def test_waiting_results_go_out_now_even_when_their_archive_is_not_to_be_called_yet(reported: Workbench) -> None:
    for _ in range(8):
        reported.deliver(Archive(answer=down), PATIENT)
        reported.clock.turn(30)
    reported.clock.turn(-29)
    archive = Archive()
    assert reported.deliver(archive) == 0
    assert act(reported, "archive") == "2 waiting results will be sent to archive now"
    assert reported.deliver(archive) == 2


def test_send_now_sends_all_waiting_results_of_a_destination(reported: Workbench) -> None:
    reported.deliver(Archive(answer=full), PATIENT)
    with reported.sessions.begin() as session:
        done = send_now(session, "archive", Actor("anna", "10.0.0.7"), reported.destinations, reported.clock())
    assert done == "2 waiting results will be sent to archive now"
    assert reported.deliver(Archive()) == 2
    with reported.sessions() as session, pytest.raises(PermanentError, match="Configured destinations: archive, other"):
        send_now(session, "nowhere", Actor("anna", "10.0.0.7"), reported.destinations, reported.clock())


def test_a_destination_that_is_added_later_gets_the_stored_results(reported: Workbench) -> None:
    archive, new = Archive(), Archive("new")
    reported.deliver(archive)
    reported.destinations = {**reported.destinations, "new": BOTH}
    assert act(reported, "new") == "the results that new lacks will be written and sent to it"
    reported.run(reported.job())
    assert (reported.deliver(archive), reported.deliver(new)) == (0, 2)
    assert set(new.received) == set(archive.received)
    assert reported.study().state is StudyState.REPORTED


def test_a_destination_that_is_added_later_gets_the_kinds_that_it_asks_for(reported: Workbench) -> None:
    new = Archive("new")
    reported.destinations = {**reported.destinations, "new": ("secondary_capture",)}
    assert act(reported) == "the results that new lacks will be written and sent to it"
    reported.run(reported.job())
    reported.deliver(new)
    assert [one.sop_class_uid for one in reported.deliveries() if one.destination == "new"] == [
        SecondaryCaptureImageStorage
    ]
    assert len(new.received) == 1


def test_a_study_is_not_analysed_again_for_a_new_destination(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported)
    findings = findings_path(reported.store.root, reported.job().job_id)
    written_at = findings.stat().st_mtime_ns
    reported.run(reported.job())
    assert findings.stat().st_mtime_ns == written_at


def test_results_withheld_in_shadow_mode_go_out_once_the_destination_is_live_and_named(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.shadow = frozenset({"archive"})
    bench.run(bench.submitted(exam[1]))
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench, "archive")
    bench.shadow = frozenset()
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench)
    assert act(bench, "archive") == "2 results will be sent to archive again"
    assert bench.deliver(Archive()) == 2


def test_results_of_a_rule_in_shadow_are_never_sent(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (SiteRule("site", parse("Rows == 64"), Action.SHADOW),)
    bench.run(bench.submitted(exam[1]))
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench, "archive")


@pytest.mark.parametrize("event", ["set aside", "late image"])
def test_results_can_be_sent_again_after_their_completion_was_stopped(
    reported: Workbench, exam: list[Dataset], event: str
) -> None:
    archive = Archive()
    reported.deliver(archive)
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported, "new")
    if event == "set aside":
        with reported.sessions.begin() as session:
            set_aside(session, reported.order("by mistake"))
        with reported.sessions.begin() as session:
            release(session, reported.order())
    else:
        reported.submitted_again(exam[0])
    assert reported.jobs()[-1].state is JobState.SUCCEEDED
    again = Archive()
    act(reported, stored=True)
    reported.deliver(again)
    assert set(again.received) == set(archive.received)


def test_a_kind_that_is_asked_for_later_is_written_for_the_destination(reported: Workbench) -> None:
    archive = Archive()
    reported.deliver(archive)
    reported.destinations = {"archive": (*BOTH, "key_object_selection", "secondary_capture"), "other": BOTH}
    act(reported, "archive")
    reported.run(reported.job())
    assert reported.deliver(archive) >= 2


def test_results_of_other_settings_are_not_written_for_one_destination_alone(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": BOTH}
    reported.settings_digest = "other"
    with pytest.raises(PermanentError, match=r"`glam-node study retry .*` reads it again"):
        act(reported, "new")
    with pytest.raises(PermanentError, match="No result of study"):
        act(reported)


def test_a_rule_of_the_site_does_not_keep_results_from_a_destination_that_is_named(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.site = (SiteRule("site", parse("Rows == 64"), destinations=("archive",)),)
    bench.run(bench.submitted(exam[1]))
    bench.destinations = {"archive": BOTH, "new": BOTH}
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench)
    act(bench, "new")
    bench.run(bench.job())
    assert bench.deliver(Archive("new")) == 2


def test_no_destination_is_told_of_a_failure_when_results_cannot_be_written_later(reported: Workbench) -> None:
    reported.destinations = {**reported.destinations, "new": (*BOTH, "not_analysed_report")}
    act(reported)
    reported.store.resolve(reported.study().instances[0].path).write_bytes(b"damaged")
    reported.run(reported.job())
    assert [(one.is_notice, one.state) for one in reported.jobs()] == [(False, JobState.FAILED)]


@pytest.mark.parametrize("what", ["resend", "retry", "release"])
def test_results_that_are_sent_again_wait_since_then(reported: Workbench, what: str) -> None:
    reported.deliver(Archive("other"))
    reported.deliver(Archive(answer=unsupported) if what == "retry" else Archive())
    if what == "release":
        act(reported, "archive", stored=True)
        with reported.sessions.begin() as session:
            hold(session, reported.order())
    reported.clock.turn(30 * 86400)
    with reported.sessions.begin() as session:
        if what == "retry":
            retry_study(session, reported.order(), reported.settings_digest)
        elif what == "release":
            release(session, reported.order())
    if what == "resend":
        act(reported, "archive", stored=True)
    with reported.sessions() as session:
        assert backlog.pending_deliveries(session)["archive"].oldest == reported.clock()


def test_a_job_that_is_started_over_waits_since_then(reported: Workbench) -> None:
    reported.clock.turn(30 * 86400)
    reported.destinations = {**reported.destinations, "new": BOTH}
    act(reported)
    with reported.sessions() as session:
        assert backlog.oldest_unfinished_job(session) == reported.clock()
