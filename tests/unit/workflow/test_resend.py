"""Requests to send results again."""

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import audit, backlog
from glam_node.node.domain.account import Actor
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, RetryPolicy
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.resend import send_now
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.node.workflow.operate.standing import hold, release, set_aside
from glam_node.rules.grammar import parse
from tests.unit.workflow.workbench import BOTH, Archive, Workbench, act, down, full, unsupported

PATIENT = RetryPolicy(initial_delay_s=900, multiplier=1, maximum_delay_s=900, maximum_attempts=1000)


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


def test_a_repeated_request_sends_results_only_once(reported: Workbench) -> None:
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
        done = send_now(session, "archive", Actor("anna", "10.0.0.7"), reported.context, reported.clock())
    assert done == "2 waiting results will be sent to archive now"
    assert reported.deliver(Archive()) == 2
    with reported.sessions() as session, pytest.raises(PermanentError, match="Configured destinations: archive, other"):
        send_now(session, "nowhere", Actor("anna", "10.0.0.7"), reported.context, reported.clock())


def test_results_withheld_in_shadow_mode_go_out_once_the_destination_is_live_and_named(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.shadow = frozenset({"archive"})
    bench.run(bench.submitted(exam[1]))
    with pytest.raises(PermanentError, match=r"archive: destinations\.archive\.mode is shadow\. Set it to live"):
        act(bench, "archive")
    bench.shadow = frozenset()
    with pytest.raises(PermanentError, match="No result of study"):
        act(bench)
    assert act(bench, "archive") == "2 results will be sent to archive again"
    assert bench.deliver(Archive()) == 2


def test_results_of_a_rule_in_shadow_are_never_sent(bench: Workbench, exam: list[Dataset]) -> None:
    bench.site = (SiteRule("site", parse("Rows == 64"), Action.SHADOW),)
    bench.run(bench.submitted(exam[1]))
    with pytest.raises(PermanentError, match=r"kept and not sent: rules\.site is in shadow"):
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
            retry_study(session, reported.order(), reported.context)
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


def test_stored_results_are_sent_again_while_a_newer_job_waits(reported: Workbench, exam: list[Dataset]) -> None:
    reported.deliver(Archive())
    (newer,) = reported.submitted_again(exam[0])
    assert newer.state is JobState.PENDING
    done = act(reported, "archive", stored=True)
    assert done.startswith("2 results will be sent to archive again. Study ")
    assert "is being read. Resend when that has ended, if results for archive are still missing" in done
    assert reported.deliver(again := Archive()) == 2
    assert len(again.received) == 2


@pytest.mark.parametrize("mode", ["shadow", "dry_run"])
def test_stored_results_are_not_sent_again_to_a_destination_that_is_not_live(reported: Workbench, mode: str) -> None:
    reported.deliver(Archive())
    if mode == "shadow":
        reported.shadow = frozenset({"archive"})
    else:
        reported.destinations, reported.dry_run = {"other": BOTH}, {"archive": BOTH}
    message = rf"Nothing is sent to archive: destinations\.archive\.mode is {mode}\. Set it to live"
    for name in ("archive", ""):
        with pytest.raises(PermanentError, match=message):
            act(reported, name, stored=True)
    with reported.sessions.begin() as session, pytest.raises(PermanentError, match=message):
        send_now(session, "archive", Actor("anna", "10.0.0.7"), reported.context, reported.clock())
    assert {one.state for one in reported.deliveries() if one.destination == "archive"} == {DeliveryState.STORED}


def test_results_that_a_destination_in_shadow_lacks_are_written_and_kept(reported: Workbench) -> None:
    reported.destinations, reported.shadow = {**reported.destinations, "new": BOTH}, frozenset({"new"})
    assert act(reported, "new") == (
        "the results that new lacks will be written and kept, not sent: destinations.new.mode is shadow"
    )
    reported.run(reported.job())
    assert [one.state for one in reported.deliveries() if one.destination == "new"] == [DeliveryState.WITHHELD] * 2


def test_retry_does_not_say_that_results_are_sent_to_a_destination_in_shadow(reported: Workbench) -> None:
    reported.deliver(Archive(answer=unsupported))
    reported.shadow = frozenset({"archive"})
    with reported.sessions.begin() as session:
        report = retry_study(session, reported.order(), reported.context)
    assert str(report) == "2 results kept, for a destination that is not live"
