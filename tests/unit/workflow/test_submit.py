"""Submission: complete studies become jobs once, and jobs are announced."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from glam_node.node.db import jobs
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import FailureKind, InferenceJob, JobState, Priority
from glam_node.node.domain.ports import JobQueue
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import TransientError
from glam_node.node.worker.queue import InlineQueue
from glam_node.node.workflow.assemble.submit import ANNOUNCED_AT_ONCE, announce_waiting_jobs
from tests.builders import four_views, report, sop_instance
from tests.unit.workflow.workbench import Workbench


@dataclass
class BrokenQueue:
    """A broker that goes away after some announcements."""

    takes: int = 0
    announced: list[str] = field(default_factory=list)

    def announce(self, job_id: str, priority: Priority) -> None:  # noqa: ARG002 - all are of the day
        """Announce a job, or fail."""
        if len(self.announced) == self.takes:
            raise TransientError("Broker away.")
        self.announced.append(job_id)


def submit(bench: Workbench, *instances: SOPInstance) -> list[InferenceJob]:
    bench.record(*instances)
    bench.clock.turn(300)
    return bench.dispatch()


def late(bench: Workbench, view: str = "L CC", **fields: Any) -> SOPInstance:
    return sop_instance(view, received_at=bench.clock(), **fields)


def succeed(bench: Workbench) -> None:
    """Let the newest job succeed."""
    job_id = bench.job().job_id
    with bench.sessions.begin() as session:
        job = jobs.claim(session, job_id, owner="w", now=bench.clock(), lease_s=60, maximum_attempts=3)
        assert job is not None
        jobs.succeed(session, job, now=bench.clock(), algorithm_version="1", stage_seconds=[])


def announce(bench: Workbench, queue: JobQueue) -> None:
    with bench.sessions() as session:
        announce_waiting_jobs(session, queue, Priority.SCREENING, bench.clock())


def test_an_eligible_study_gets_a_job_for_its_images(bench: Workbench) -> None:
    views = four_views()
    (job,) = submit(bench, *reversed(views), report())
    assert job.sop_instance_uids == tuple(view.sop_instance_uid for view in views)
    assert (job.state, job.settings_digest, bench.study().state) == (JobState.PENDING, "digest", StudyState.SUBMITTED)


def test_the_reason_for_starting_stays_on_the_record(bench: Workbench) -> None:
    submit(bench, *four_views())
    assert bench.study().rule == "settle_time"
    assert bench.events() == ["study_complete", "job_submitted"]


def test_an_ineligible_study_gets_a_reason_and_no_job(bench: Workbench) -> None:
    assert submit(bench, *four_views(presentation_intent_type="FOR PROCESSING")) == []
    study = bench.study()
    assert (study.state, study.rule) == (StudyState.INELIGIBLE, "for_processing_only")
    assert study.reason == "no image can be analysed: 4 for processing"
    assert bench.events() == ["study_complete", "study_ineligible"]


def test_a_late_image_makes_a_new_job_and_the_old_one_is_superseded(bench: Workbench) -> None:
    submit(bench, *four_views())
    (job,) = submit(bench, late(bench))
    assert len(job.sop_instance_uids) == 5
    assert [one.state for one in bench.jobs()] == [JobState.PENDING, JobState.SUPERSEDED]


def test_a_failed_job_needs_nobody_once_a_newer_job_replaces_it(bench: Workbench) -> None:
    submit(bench, *four_views())
    job_id = bench.job().job_id
    with bench.sessions.begin() as session:
        job = jobs.claim(session, job_id, owner="w", now=bench.clock(), lease_s=60, maximum_attempts=3)
        assert job is not None
        jobs.fail(session, job, now=bench.clock(), failure="broken", kind=FailureKind.PERMANENT, next_attempt_at=None)
    submit(bench, late(bench))
    assert [one.state for one in bench.jobs()] == [JobState.PENDING, JobState.SUPERSEDED]


def test_a_late_image_after_the_report_makes_a_second_job(bench: Workbench) -> None:
    submit(bench, *four_views())
    succeed(bench)
    assert len(submit(bench, late(bench))) == 1
    assert [one.state for one in bench.jobs()] == [JobState.PENDING, JobState.SUCCEEDED]


@pytest.mark.parametrize("stated", [{"presentation_intent_type": "FOR PROCESSING"}, {"view_position": "ML"}])
def test_a_late_mammogram_that_is_not_analysed_makes_no_job(bench: Workbench, stated: dict[str, str]) -> None:
    submit(bench, *four_views())
    assert submit(bench, late(bench, **stated)) == []
    assert (bench.study().state, bench.job().state) == (StudyState.SUBMITTED, JobState.PENDING)


def test_a_reported_study_reopened_in_vain_is_reported_again_without_a_job(bench: Workbench) -> None:
    submit(bench, *four_views())
    succeed(bench)
    assert submit(bench, late(bench, presentation_intent_type="FOR PROCESSING")) == []
    assert (bench.study().state, len(bench.jobs())) == (StudyState.REPORTED, 1)


def test_our_own_results_coming_back_start_nothing(bench: Workbench) -> None:
    submit(bench, *four_views())
    succeed(bench)
    assert submit(bench, late(bench, "", modality="SEG"), late(bench, "", modality="SR")) == []
    assert len(bench.jobs()) == 1
    assert bench.events().count("study_complete") == 1


def test_an_ineligible_study_becomes_eligible_by_a_late_image(bench: Workbench) -> None:
    submit(bench, *four_views(presentation_intent_type="FOR PROCESSING"))
    assert len(submit(bench, late(bench))) == 1


def test_a_waiting_job_is_announced(bench: Workbench) -> None:
    (job,) = submit(bench, *four_views())
    announced: list[str] = []
    announce(bench, InlineQueue(announced.append))
    announce(bench, InlineQueue(announced.append))
    assert announced == [job.job_id]


def test_no_transaction_is_open_while_jobs_are_announced(bench: Workbench) -> None:
    (job,) = submit(bench, *four_views())
    announce(bench, InlineQueue(lambda _job_id: succeed(bench)))
    assert bench.job().state is JobState.SUCCEEDED
    assert bench.job().job_id == job.job_id


def test_a_lost_announcement_is_repeated_after_half_a_minute(bench: Workbench) -> None:
    (job,) = submit(bench, *four_views())
    announced: list[str] = []
    for _ in range(4):
        announce(bench, InlineQueue(announced.append))
        bench.clock.turn(10)
    assert announced == [job.job_id, job.job_id]


def test_jobs_that_the_broker_did_not_get_are_announced_when_it_is_back(bench: Workbench) -> None:
    first, second = submit(bench, *[sop_instance("R CC", study_instance_uid=f"2.25.{number}") for number in (1, 2)])
    with pytest.raises(TransientError):
        announce(bench, BrokenQueue(takes=1))
    announced: list[str] = []
    announce(bench, InlineQueue(announced.append))
    assert len(announced) == 1
    assert announced[0] in (first.job_id, second.job_id)


def test_a_long_queue_is_announced_a_part_at_a_time(bench: Workbench) -> None:
    many = [sop_instance("R CC", study_instance_uid=f"2.25.{number}") for number in range(ANNOUNCED_AT_ONCE + 6)]
    submit(bench, *many)
    announced: list[str] = []
    announce(bench, InlineQueue(announced.append))
    announce(bench, InlineQueue(announced.append))
    assert len(announced) == ANNOUNCED_AT_ONCE


def test_a_job_has_the_priority_of_its_most_urgent_sender(bench: Workbench) -> None:
    bench.priorities = {"ARCHIVE": Priority.BACKFILL, "CLINIC": Priority.URGENT}
    first, second = sop_instance("L CC", calling_ae_title="ARCHIVE"), sop_instance("L MLO", calling_ae_title="ARCHIVE")
    (job,) = submit(bench, first, second)
    (later,) = submit(bench, late(bench, "R CC", calling_ae_title="CLINIC"))
    assert (job.priority, later.priority) == (Priority.BACKFILL, Priority.URGENT)


def test_a_job_of_a_peer_without_a_priority_has_that_of_screening(bench: Workbench) -> None:
    (job,) = submit(bench, *four_views())
    assert job.priority is Priority.SCREENING
