"""Inference jobs, claimed by one worker at a time and finished by the worker that holds the lease."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session

from glam_node.node.db import standing
from glam_node.node.db.changes import change, mark_changed
from glam_node.node.db.job_rows import as_job, routing_values
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import FailureKind, InferenceJob, JobState, Priority, Routing, WrittenKinds
from glam_node.node.domain.prior_comparison import PriorExam

UNFINISHED = (JobState.PENDING, JobState.RUNNING)


def add(
    session: Session,
    study_instance_uid: str,
    sop_instance_uids: Sequence[str],
    settings_digest: str,
    now: datetime,
    priority: Priority = Priority.SCREENING,
    routing: Routing | None = None,
    waits_until: datetime | None = None,
) -> InferenceJob:
    """Add a job that waits for a worker, and return it; no worker gets it before `waits_until` or its release."""
    routing = routing or Routing()
    row = JobRow(
        job_id=str(uuid4()),
        study_instance_uid=study_instance_uid,
        state=JobState.PENDING,
        attempt=0,
        sop_instance_uids=list(sop_instance_uids),
        priority=priority,
        settings_digest=settings_digest,
        algorithm_version="",
        lease_owner="",
        next_attempt_at=now,
        created_at=now,
        waits_until=waits_until,
        **routing_values(routing),
    )
    if sop_instance_uids:
        mark_changed(session, [study_instance_uid])
    session.add(row)
    session.flush()
    return as_job(row)


def add_notice(session: Session, study_instance_uid: str, settings_digest: str, now: datetime) -> InferenceJob:
    """Add and return a job without images: a worker writes the report on why the study was not analysed."""
    return add(session, study_instance_uid, (), settings_digest, now)


def get(session: Session, job_id: str) -> InferenceJob | None:
    """Return the job; None if there is no job of that ID."""
    row = session.get(JobRow, job_id, populate_existing=True)
    return None if row is None else as_job(row)


def of_study(session: Session, study_instance_uid: str) -> list[InferenceJob]:
    """Return all jobs of one study, the newest first."""
    query = (
        select(JobRow)
        .where(JobRow.study_instance_uid == study_instance_uid)
        .order_by(JobRow.created_at.desc(), JobRow.job_id)
    )
    return _found(session, query)


def newest(session: Session, study_instance_uid: str) -> InferenceJob | None:
    """Return the newest analysis of the study that was not superseded; None if there is none."""
    jobs = of_study(session, study_instance_uid)
    return next((job for job in jobs if job.state is not JobState.SUPERSEDED and not job.is_notice), None)


def counts_by_state(session: Session) -> dict[JobState, int]:
    """Return the number of jobs by state; jobs of studies that are set aside do not count."""
    counted = standing.count_rows(session, [JobRow.state], JobRow.study_instance_uid)
    return {JobState(state): count for (state,), count in counted.items()}


def supersede_unfinished(
    session: Session, study_instance_uid: str, now: datetime, *, failed: bool = False
) -> list[InferenceJob]:
    """Supersede the unfinished jobs of the study and return them; a worker that runs one notices when it finishes.

    `failed` includes the failed jobs, because a new job replaces them.

    A job that only writes more of its results is SUCCEEDED again and not returned: its results are still valid.
    """
    states = (*UNFINISHED, JobState.FAILED) if failed else UNFINISHED
    condition = and_(JobRow.study_instance_uid == study_instance_uid, JobRow.state.in_(states))
    ended: dict[str, Any] = {"finished_at": now, "lease_expires_at": None}
    _change(session, and_(condition, JobRow.algorithm_version != ""), state=JobState.SUCCEEDED, **ended)
    return _change(session, condition, state=JobState.SUPERSEDED, **ended)


def supersede(session: Session, study_instance_uid: str, now: datetime) -> list[InferenceJob]:
    """Supersede all jobs of the study, finished or not, because its images were replaced; return them."""
    condition = and_(JobRow.study_instance_uid == study_instance_uid, JobRow.state != JobState.SUPERSEDED)
    finished_at = func.coalesce(JobRow.finished_at, now)
    return _change(session, condition, state=JobState.SUPERSEDED, finished_at=finished_at, lease_expires_at=None)


def claim(
    session: Session,
    job_id: str,
    *,
    owner: str,
    now: datetime,
    lease_s: float,
    maximum_attempts: int,
    settings_digest: str | None = None,
) -> InferenceJob | None:
    """Lease the job to `owner` with one statement, so that only one of several workers gets it.

    A job whose worker was lost can be claimed again, up to `maximum_attempts` times in all. If `settings_digest` is
    given, it replaces that of the job, unless the job has results, which were made with its own.

    Returns:
        The job; None if it is not due, is finished or is leased to another worker, or its study is held or set aside.
    """
    claimable, own = or_(_due(now), and_(_lost(now), JobRow.attempt < maximum_attempts)), JobRow.settings_digest
    changed = _change(
        session,
        and_(JobRow.job_id == job_id, claimable, standing.may_proceed(JobRow.study_instance_uid)),
        state=JobState.RUNNING,
        attempt=JobRow.attempt + 1,
        lease_owner=owner,
        lease_expires_at=now + timedelta(seconds=lease_s),
        started_at=now,
        settings_digest=case((JobRow.algorithm_version != "", own), else_=settings_digest or own),
    )
    return next(iter(changed), None)


def give_up_lost(
    session: Session, job_id: str, *, now: datetime, maximum_attempts: int, failure: str
) -> InferenceJob | None:
    """Fail and return a job whose worker was lost in the last permitted attempt, as the job may be the cause."""
    condition = and_(JobRow.job_id == job_id, _lost(now), JobRow.attempt >= maximum_attempts)
    failed: dict[str, Any] = {"failure": failure, "failure_kind": FailureKind.WORKER_DIED, "finished_at": now}
    return next(iter(_change(session, condition, state=JobState.FAILED, lease_expires_at=None, **failed)), None)


def renew(session: Session, job: InferenceJob, *, now: datetime, lease_s: float) -> bool:
    """Extend the lease; return False if this attempt no longer holds the job."""
    return bool(_change(session, _held(job), lease_expires_at=now + timedelta(seconds=lease_s)))


def succeed(
    session: Session,
    job: InferenceJob,
    *,
    now: datetime,
    algorithm_version: str,
    stage_seconds: Sequence[tuple[str, float]],
    failure: str = "",
    written_for: Mapping[str, WrittenKinds] | None = None,
    routing: Routing | None = None,
) -> bool:
    """Record that the job succeeded; return False if this attempt no longer holds the job.

    `failure` describes the result that could not be written, if any; `stage_seconds` are name and seconds per stage;
    `written_for` are the kinds that were written, by destination; `routing` is that of a rule about results.
    """
    kind = FailureKind.RESULT_NOT_WRITTEN if failure else FailureKind.NONE
    values: dict[str, Any] = {"stage_seconds": [list(stage) for stage in stage_seconds], "finished_at": now}
    values |= {"algorithm_version": algorithm_version, "failure": failure, "failure_kind": kind}
    values["written_for"] = None if written_for is None else {name: asdict(one) for name, one in written_for.items()}
    if routing is not None:
        values |= routing_values(routing) | {"submitted_routing": asdict(job.submitted_routing or job.routing)}
    return bool(_change(session, _held(job), state=JobState.SUCCEEDED, lease_expires_at=None, **values))


def fail(
    session: Session,
    job: InferenceJob,
    *,
    now: datetime,
    failure: str,
    kind: FailureKind,
    next_attempt_at: datetime | None,
) -> bool:
    """Return the job to the queue for an attempt at `next_attempt_at`, or mark it as failed if that is None.

    Returns False if this attempt no longer holds the job.
    """
    waits = next_attempt_at is not None
    values: dict[str, Any] = {"next_attempt_at": next_attempt_at} if waits else {"finished_at": now}
    values |= {"failure": failure, "failure_kind": kind, "lease_expires_at": None, "announced_at": None}
    return bool(_change(session, _held(job), state=JobState.PENDING if waits else JobState.FAILED, **values))


def to_announce(session: Session, priority: Priority, *, now: datetime, before: datetime, limit: int) -> list[str]:
    """Return the jobs to announce, and mark them as announced at `now`.

    These are the jobs among the `limit` oldest waiting ones of a priority that were not announced since `before`.
    """
    query = (
        select(JobRow.job_id, JobRow.announced_at)
        .where(JobRow.priority == priority, or_(_due(now), _lost(now)), standing.may_proceed(JobRow.study_instance_uid))
        .order_by(JobRow.created_at)
        .limit(limit)
    )
    waiting = [job_id for job_id, at in session.execute(query) if at is None or at <= before]
    if waiting:
        set_announced_at(session, waiting, now)
    return waiting


def set_announced_at(session: Session, job_ids: Sequence[str], announced_at: datetime | None) -> None:
    """Set the time at which the jobs were announced; None for never."""
    change(session, JobRow, JobRow.job_id.in_(job_ids), announced_at=announced_at)


def running(session: Session) -> list[InferenceJob]:
    """Return all running jobs."""
    return _found(session, select(JobRow).where(JobRow.state == JobState.RUNNING))


def waiting(session: Session, limit: int) -> list[InferenceJob]:
    """Return the first `limit` pending jobs of studies that are neither held nor set aside, in order of processing."""
    may_proceed = standing.may_proceed(JobRow.study_instance_uid)
    query = select(JobRow).where(JobRow.state == JobState.PENDING, may_proceed)
    return _found(session, query.order_by(JobRow.priority, JobRow.created_at).limit(limit))


def failed(session: Session, limit: int) -> list[InferenceJob]:
    """Return the last `limit` failed jobs, the newest first."""
    query = select(JobRow).where(JobRow.state == JobState.FAILED).order_by(JobRow.finished_at.desc())
    return _found(session, query.limit(limit))


def expire(session: Session, job: InferenceJob, now: datetime) -> bool:
    """End the lease of a worker that is known to be lost; return False if the lease is no longer that of `job`."""
    return bool(_change(session, _held(job), lease_expires_at=now, announced_at=None))


def _due(now: datetime) -> ColumnElement[bool]:
    """Return the condition of a due job; a first attempt is always due, even if the clock of another host is ahead."""
    released = or_(JobRow.waits_until.is_(None), JobRow.waits_until <= now)
    return and_(JobRow.state == JobState.PENDING, released, or_(JobRow.attempt == 0, JobRow.next_attempt_at <= now))


def release(session: Session, study_instance_uid: str, now: datetime) -> list[InferenceJob]:
    """End the wait of the study's job for prior exams, and return it; its waiting time for a worker starts now."""
    waits = and_(JobRow.study_instance_uid == study_instance_uid, JobRow.waits_until.is_not(None))
    values: dict[str, Any] = {"waits_until": None, "announced_at": None, "next_attempt_at": now, "waiting_since": now}
    return _change(session, and_(waits, JobRow.state == JobState.PENDING), **values)


def keep_priors(session: Session, job: InferenceJob, priors: Sequence[PriorExam]) -> bool:
    """Keep the prior exams that the job's findings were compared with; False if this attempt does not hold the job."""
    return bool(_change(session, _held(job), priors=[one.as_json() for one in priors]))


def _lost(now: datetime) -> ColumnElement[bool]:
    return and_(JobRow.state == JobState.RUNNING, JobRow.lease_expires_at <= now)


def _held(job: InferenceJob) -> ColumnElement[bool]:
    """Return the condition that the attempt of `job` holds the lease.

    An expired lease counts, too, as long as no other worker has taken over the job.
    """
    return and_(
        JobRow.job_id == job.job_id,
        JobRow.state == JobState.RUNNING,
        JobRow.lease_owner == job.lease_owner,
        JobRow.attempt == job.attempt,
    )


def _change(session: Session, condition: ColumnElement[bool], **values: Any) -> list[InferenceJob]:
    """Set `values` on the jobs that meet the condition, and return them; a person sees the state of an analysis."""
    if "state" in values:
        is_analysis = cast(JobRow.sop_instance_uids, String) != "[]"
        mark_changed(session, select(JobRow.study_instance_uid).where(condition, is_analysis))
    return [as_job(row) for row in change(session, JobRow, condition, **values)]


def _found(session: Session, query: Select[Any]) -> list[InferenceJob]:
    return [as_job(row) for row in session.scalars(query.execution_options(populate_existing=True))]
