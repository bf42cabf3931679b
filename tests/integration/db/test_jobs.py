"""Tests of jobs, on both databases: one worker at a time, also if workers are lost."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from glam_node.node.db import job_restarts, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import FailureKind, InferenceJob, JobState, Priority
from tests.builders import NOW, STUDY_UID, after, sop_instance
from tests.integration.db import contenders


@pytest.fixture(autouse=True)
def study(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        studies.add_instance(session, sop_instance("R CC"), StudyAttributes())


def add(sessions: SessionFactory, seconds: float = 0) -> str:
    with sessions.begin() as session:
        return jobs.add(session, STUDY_UID, ["2.25.1", "2.25.2"], "digest", after(seconds)).job_id


def claim(sessions: SessionFactory, job_id: str, owner: str = "one", seconds: float = 0) -> InferenceJob | None:
    with sessions.begin() as session:
        return jobs.claim(session, job_id, owner=owner, now=after(seconds), lease_s=60, maximum_attempts=3)


def claimed(sessions: SessionFactory, job_id: str, owner: str = "one", seconds: float = 0) -> InferenceJob:
    job = claim(sessions, job_id, owner, seconds)
    assert job is not None
    return job


def get(sessions: SessionFactory, job_id: str) -> InferenceJob:
    with sessions() as session:
        job = jobs.get(session, job_id)
    assert job is not None
    return job


def version(sessions: SessionFactory) -> int:
    with sessions() as session:
        study = studies.get(session, STUDY_UID)
    assert study is not None
    return study.version


def announced(sessions: SessionFactory, seconds: float, limit: int = 10) -> list[str]:
    with sessions.begin() as session:
        return jobs.to_announce(
            session, Priority.SCREENING, now=after(seconds), before=after(seconds - 30), limit=limit
        )


def test_a_new_job_waits(sessions: SessionFactory) -> None:
    job = get(sessions, add(sessions))
    assert (job.state, job.attempt, job.sop_instance_uids) == (JobState.PENDING, 0, ("2.25.1", "2.25.2"))


def test_the_study_of_an_analysis_has_a_new_version_after_each_change_of_its_state(sessions: SessionFactory) -> None:
    versions = [version(sessions)]
    job_id = add(sessions)
    versions.append(version(sessions))
    job = claimed(sessions, job_id)
    versions.append(version(sessions))
    with sessions.begin() as session:
        jobs.renew(session, job, now=after(1), lease_s=60)
    assert version(sessions) == versions[-1]
    with sessions.begin() as session:
        jobs.fail(session, job, now=after(1), failure="no", kind=FailureKind.OTHER, next_attempt_at=after(2))
    versions.append(version(sessions))
    assert versions == sorted(set(versions))


def test_the_study_of_a_notice_keeps_its_version(sessions: SessionFactory) -> None:
    before = version(sessions)
    with sessions.begin() as session:
        notice = jobs.add_notice(session, STUDY_UID, "digest", NOW)
    claimed(sessions, notice.job_id)
    assert version(sessions) == before


def test_a_claimed_job_states_its_lease(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    assert (job.state, job.attempt, job.lease_owner, job.lease_expires_at) == (JobState.RUNNING, 1, "one", after(60))


def test_a_first_attempt_is_claimed_by_a_worker_whose_clock_is_behind(sessions: SessionFactory) -> None:
    assert claimed(sessions, add(sessions, seconds=2)).attempt == 1


def test_a_first_attempt_is_announced_by_a_dispatcher_whose_clock_is_behind(sessions: SessionFactory) -> None:
    job_id = add(sessions, seconds=2)
    assert announced(sessions, 0) == [job_id]


def test_a_leased_job_cannot_be_claimed(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    claimed(sessions, job_id)
    assert claim(sessions, job_id, "two", seconds=59.9) is None
    assert claim(sessions, job_id, "one", seconds=59.9) is None


def test_an_unknown_job_cannot_be_claimed(sessions: SessionFactory) -> None:
    assert claim(sessions, "no such job") is None


def test_a_job_of_a_lost_worker_goes_to_another_and_the_attempt_counts(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    claimed(sessions, job_id)
    assert claimed(sessions, job_id, "two", seconds=60).attempt == 2


def test_a_renewed_lease_lasts_longer(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    job = claimed(sessions, job_id)
    with sessions.begin() as session:
        assert jobs.renew(session, job, now=after(50), lease_s=60)
    assert claim(sessions, job_id, "two", seconds=109) is None


def test_a_worker_that_lost_its_lease_can_neither_renew_nor_finish_the_job(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    late = claimed(sessions, job_id)
    claimed(sessions, job_id, "two", seconds=60)
    with sessions.begin() as session:
        assert not jobs.renew(session, late, now=after(61), lease_s=60)
        assert not jobs.succeed(session, late, now=after(61), algorithm_version="1", stage_seconds=[])
        assert not jobs.fail(session, late, now=after(61), failure="late", kind=FailureKind.OTHER, next_attempt_at=None)
    assert get(sessions, job_id).lease_owner == "two"


def test_an_earlier_attempt_of_the_same_worker_cannot_finish_the_job(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    earlier = claimed(sessions, job_id, "one")
    claimed(sessions, job_id, "one", seconds=60)
    with sessions.begin() as session:
        assert not jobs.succeed(session, earlier, now=after(61), algorithm_version="1", stage_seconds=[])


def test_an_attempt_from_before_a_retry_cannot_finish_the_job(sessions: SessionFactory) -> None:
    stuck = claimed(sessions, add(sessions), "stuck")
    other = claimed(sessions, stuck.job_id, "other", seconds=60)
    with sessions.begin() as session:
        jobs.fail(session, other, now=after(61), failure="no", kind=FailureKind.OTHER, next_attempt_at=None)
        job_restarts.retry(session, stuck.job_id, after(62))
    assert claimed(sessions, stuck.job_id, "third", seconds=62).attempt == stuck.attempt
    with sessions.begin() as session:
        assert not jobs.succeed(session, stuck, now=after(63), algorithm_version="1", stage_seconds=[])


def test_a_worker_whose_lease_ended_unnoticed_may_still_finish_the_job(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        assert jobs.succeed(session, job, now=after(300), algorithm_version="1", stage_seconds=[("read", 0.5)])
    done = get(sessions, job.job_id)
    assert (done.state, done.finished_at, done.stage_seconds) == (JobState.SUCCEEDED, after(300), (("read", 0.5),))


def test_a_job_that_failed_for_a_time_waits_for_its_next_attempt(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        jobs.fail(
            session, job, now=after(1), failure="disk full", kind=FailureKind.DISK_FULL, next_attempt_at=after(11)
        )
    failed = get(sessions, job.job_id)
    assert (failed.failure, failed.failure_kind) == ("disk full", FailureKind.DISK_FULL)
    assert claim(sessions, job.job_id, "two", seconds=10) is None
    assert claimed(sessions, job.job_id, "two", seconds=11).attempt == 2


def test_a_job_that_failed_for_good_is_not_claimed_again(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        jobs.fail(session, job, now=after(1), failure="no", kind=FailureKind.OTHER, next_attempt_at=None)
    assert get(sessions, job.job_id).state is JobState.FAILED
    assert claim(sessions, job.job_id, seconds=9999) is None


def test_a_job_that_kills_its_workers_is_given_up_after_the_last_attempt(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    for attempt in range(3):
        claimed(sessions, job_id, seconds=attempt * 60)
    assert claim(sessions, job_id, seconds=180) is None
    with sessions.begin() as session:
        given_up = jobs.give_up_lost(session, job_id, now=after(180), maximum_attempts=3, failure="died")
    assert given_up is not None
    assert (given_up.state, given_up.failure) == (JobState.FAILED, "died")


@pytest.mark.parametrize("seconds", [0, 59])
def test_a_running_job_is_not_given_up(sessions: SessionFactory, seconds: float) -> None:
    job_id = add(sessions)
    claimed(sessions, job_id)
    with sessions.begin() as session:
        assert jobs.give_up_lost(session, job_id, now=after(seconds), maximum_attempts=1, failure="died") is None


def test_a_retry_restarts_a_failed_job_with_all_its_attempts(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        jobs.fail(session, job, now=after(1), failure="no", kind=FailureKind.OTHER, next_attempt_at=None)
        assert job_restarts.retry(session, job.job_id, after(2))
    assert claimed(sessions, job.job_id, seconds=2).attempt == 1


def test_a_retry_does_not_restart_a_running_job(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        assert not job_restarts.retry(session, job.job_id, after(2))


def test_an_unfinished_job_is_superseded_and_its_worker_notices(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        superseded = jobs.supersede_unfinished(session, STUDY_UID, after(1))
        assert not jobs.succeed(session, job, now=after(2), algorithm_version="1", stage_seconds=[])
    assert [one.state for one in superseded] == [JobState.SUPERSEDED]


def test_the_newest_job_is_the_newest_that_was_not_superseded(sessions: SessionFactory) -> None:
    add(sessions)
    with sessions.begin() as session:
        jobs.supersede_unfinished(session, STUDY_UID, NOW)
    newest = add(sessions, seconds=1)
    with sessions() as session:
        assert [job.state for job in jobs.of_study(session, STUDY_UID)] == [JobState.PENDING, JobState.SUPERSEDED]
        found = jobs.newest(session, STUDY_UID)
    assert found is not None
    assert found.job_id == newest


def test_a_waiting_job_is_announced_again_if_no_worker_claims_it(sessions: SessionFactory) -> None:
    job_id = add(sessions)
    assert [announced(sessions, seconds) for seconds in (0, 1, 29, 30, 31)] == [[job_id], [], [], [job_id], []]


def test_a_job_is_announced_if_it_is_due_or_its_worker_is_lost(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    assert announced(sessions, 59) == []
    assert announced(sessions, 60) == [job.job_id]
    with sessions.begin() as session:
        jobs.fail(session, job, now=after(61), failure="no", kind=FailureKind.OTHER, next_attempt_at=after(70))
    assert announced(sessions, 69) == []
    assert announced(sessions, 70) == [job.job_id]


def test_only_the_oldest_waiting_jobs_are_announced(sessions: SessionFactory) -> None:
    first, second = add(sessions), add(sessions, 1)
    assert announced(sessions, 2, limit=1) == [first]
    assert announced(sessions, 3, limit=1) == []
    claimed(sessions, first, seconds=3)
    assert announced(sessions, 4, limit=1) == [second]


def test_the_lease_of_a_lost_worker_can_be_ended(sessions: SessionFactory) -> None:
    job = claimed(sessions, add(sessions))
    with sessions.begin() as session:
        assert [one.job_id for one in jobs.running(session)] == [job.job_id]
        assert jobs.expire(session, job, after(5))
    assert claimed(sessions, job.job_id, "two", seconds=5).attempt == 2


def test_jobs_are_counted_by_state(sessions: SessionFactory) -> None:
    claimed(sessions, add(sessions))
    add(sessions, 1)
    with sessions() as session:
        assert jobs.counts_by_state(session) == {JobState.RUNNING: 1, JobState.PENDING: 1}


def test_each_job_is_claimed_by_one_of_several_processes(sessions: SessionFactory, url: str) -> None:
    job_ids = [add(sessions) for _ in range(60)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        won = list(pool.map(contenders.claim_all, [url] * 4, "abcd", [job_ids] * 4))
    assert sorted(job_id for wins in won for job_id in wins) == sorted(job_ids)
