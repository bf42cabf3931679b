"""Studies that a person holds, sets aside or releases."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from glam_node.node.db import audit, backlog, deliveries, jobs
from glam_node.node.domain.account import Order, SeenStudy
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.study import LEGAL_STANDINGS, Standing, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.operator_study import shown_state
from glam_node.node.workflow.operate.retention import RetentionPolicy, retire
from glam_node.node.workflow.operate.retry import retry_study
from glam_node.node.workflow.operate.standing import hold, release, set_aside
from tests.builders import four_views
from tests.unit.workflow.workbench import Archive, Workbench, unsupported

Act = Callable[[Session, Order], str]
TO: dict[Standing, Act] = {Standing.HELD: hold, Standing.SET_ASIDE: set_aside, Standing.FREE: release}


def act(bench: Workbench, verb: Act, reason: str = "why", seen: SeenStudy | None = None) -> str:
    with bench.sessions.begin() as session:
        return verb(session, bench.order(reason, seen))


def seen(bench: Workbench) -> SeenStudy:
    with bench.sessions() as session:
        return SeenStudy(bench.study().version, shown_state(session, bench.study()))


def announced(bench: Workbench) -> list[str]:
    """Return the jobs that the dispatcher would announce."""
    with bench.sessions.begin() as session:
        return jobs.to_announce(
            session, Priority.SCREENING, now=bench.clock(), before=bench.clock() - timedelta(days=1), limit=9
        )


def test_a_held_study_gets_no_job_until_it_is_released(bench: Workbench) -> None:
    bench.record(*four_views())
    act(bench, hold)
    bench.clock.turn(300)
    assert bench.dispatch() == []
    assert bench.study().state is StudyState.COMPLETE
    act(bench, release)
    assert len(bench.dispatch()) == 1


def test_a_released_job_has_not_been_due_while_it_was_held(bench: Workbench, exam: list[Dataset]) -> None:
    bench.submitted(exam[0])
    act(bench, hold)
    bench.clock.turn(86400)
    act(bench, release)
    with bench.sessions() as session:
        assert backlog.longest_due_job(session) == bench.clock()


def test_a_job_of_a_held_study_is_neither_announced_nor_begun(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(exam[0])
    act(bench, hold)
    assert announced(bench) == []
    assert not bench.run(job)
    assert bench.job().state is JobState.PENDING
    act(bench, release)
    assert announced(bench) == [job.job_id]
    assert bench.run(job)


def test_results_of_a_held_study_wait_until_it_is_released(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    act(bench, hold)
    archive = Archive()
    assert bench.deliver(archive) == 0
    act(bench, release)
    assert bench.deliver(archive) == len(archive.received) == 2


def test_results_of_a_held_study_do_not_count_as_backlog(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    with bench.sessions() as session:
        assert backlog.pending_deliveries(session)
    act(bench, hold)
    with bench.sessions() as session:
        assert backlog.pending_deliveries(session) == {}


def test_a_late_image_of_a_study_set_aside_starts_nothing(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[0]))
    act(bench, set_aside)
    bench.receive(exam[1])
    bench.clock.turn(300)
    assert bench.dispatch() == []
    assert bench.study().standing is Standing.SET_ASIDE


def test_setting_aside_ends_the_job_and_releasing_makes_another(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(exam[0])
    act(bench, set_aside)
    assert bench.job().state is JobState.SUPERSEDED
    assert not bench.run(job)
    assert act(bench, release) == "the study is released, and the rules are applied to it again"
    bench.clock.turn(300)
    (again,) = bench.dispatch()
    assert bench.run(again)
    assert bench.study().state is StudyState.REPORTED


def test_given_up_results_of_a_study_set_aside_are_not_counted(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive(answer=unsupported))
    with bench.sessions() as session:
        assert deliveries.counts(session) == {("archive", DeliveryState.ABANDONED): 2}
    act(bench, set_aside)
    with bench.sessions() as session:
        assert (deliveries.counts(session), jobs.counts_by_state(session)) == ({}, {})


@pytest.mark.parametrize(("verb", "retired"), [(hold, 0), (set_aside, 1)])
def test_retention_keeps_held_studies_and_removes_those_set_aside(
    bench: Workbench, exam: list[Dataset], verb: Act, retired: int
) -> None:
    bench.run(bench.submitted(exam[1]))
    act(bench, verb)
    policy = RetentionPolicy(timedelta(days=1), 0)
    assert retire(bench.sessions, bench.store, policy, bench.clock() + timedelta(days=2)) == retired
    states = {one.state for one in bench.deliveries()}
    assert states == {DeliveryState.ABANDONED if retired else DeliveryState.PENDING}
    if retired:
        assert bench.study().state is StudyState.RETIRED
        act(bench, release)
        assert bench.deliver(Archive()) == 0


@pytest.mark.parametrize("before", Standing)
@pytest.mark.parametrize("after", Standing)
def test_illegal_changes_of_standing_are_refused(bench: Workbench, before: Standing, after: Standing) -> None:
    bench.record(*four_views())
    if before is not Standing.FREE:
        act(bench, TO[before], "first")
    if after in LEGAL_STANDINGS[before]:
        act(bench, TO[after], "then")
        assert bench.study().standing is after
        return
    events = bench.events()
    with pytest.raises(PermanentError, match=r"[nN]othing was done"):
        act(bench, TO[after], "then")
    assert (bench.study().standing, bench.events()) == (before, events)


def test_the_timeline_names_person_and_reason(bench: Workbench) -> None:
    bench.record(*four_views())
    act(bench, hold, "a prior is awaited")
    with bench.sessions() as session:
        (event,) = audit.timeline(session, bench.study().study_instance_uid)
    assert event.kind == "study_held"
    assert event.detail == {"account": "anna", "address": "10.0.0.7", "reason": "a prior is awaited", "was": "FREE"}
    assert (bench.study().standing, bench.study().standing_reason) == (Standing.HELD, "a prior is awaited")


def test_setting_aside_requires_a_reason(bench: Workbench) -> None:
    bench.record(*four_views())
    with pytest.raises(PermanentError, match="Enter a reason"):
        act(bench, set_aside, "")


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines"])
def test_a_reason_is_one_line(bench: Workbench, reason: str) -> None:
    bench.record(*four_views())
    with pytest.raises(PermanentError, match="A reason has up to 200 printable characters"):
        act(bench, hold, reason)
    assert bench.study().standing is Standing.FREE


def test_a_held_study_cannot_be_retried(bench: Workbench) -> None:
    bench.record(*four_views())
    act(bench, hold, "wait")
    with bench.sessions() as session, pytest.raises(PermanentError, match=r"is held \(wait\)\. Release it first"):
        retry_study(session, bench.order(), bench.context)


def test_an_order_is_refused_after_the_study_became_again_what_the_person_saw(bench: Workbench) -> None:
    bench.record(*four_views())
    before = seen(bench)
    act(bench, hold)
    act(bench, release)
    assert seen(bench).words == before.words
    with pytest.raises(PermanentError, match="has changed since the page was made"):
        act(bench, hold, seen=before)


def test_the_report_on_a_study_that_is_not_analysed_does_not_change_what_a_person_saw(bench: Workbench) -> None:
    bench.record(*four_views())
    with bench.sessions.begin() as session:
        notice = jobs.add_notice(session, bench.study().study_instance_uid, "", bench.clock())
    before = bench.study().version
    bench.run(notice)
    assert bench.study().version == before


def test_an_order_on_an_outdated_view_is_refused(bench: Workbench, exam: list[Dataset]) -> None:
    job = bench.submitted(exam[0])
    before = seen(bench)
    bench.run(job)
    with pytest.raises(PermanentError, match=r"it was SUBMITTED.*it is REPORTED.*Nothing was done"):
        act(bench, hold, seen=before)
    assert bench.study().standing is Standing.FREE
    act(bench, hold, seen=seen(bench))
    assert bench.study().standing is Standing.HELD
