"""Changes of inference jobs that wait or have ended: restarts that people ask for, and another priority."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, literal, or_
from sqlalchemy.orm import Session

from glam_node.node.db.changes import change
from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import FailureKind, JobState, Priority


def retry(session: Session, job_id: str, now: datetime) -> bool:
    """Restart a job that failed, waits for its next attempt or lacks a result; return False for any other job."""
    waiting = and_(JobRow.state == JobState.PENDING, or_(JobRow.next_attempt_at > now, JobRow.waits_until > now))
    lacks_a_result = and_(JobRow.state == JobState.SUCCEEDED, JobRow.failure_kind != FailureKind.NONE)
    restartable = or_(JobRow.state == JobState.FAILED, waiting, lacks_a_result)
    condition = and_(JobRow.job_id == job_id, restartable)
    since = case((waiting, JobRow.waiting_since), else_=literal(now, JobRow.waiting_since.type))
    values = {"attempt": 0, "next_attempt_at": now, "announced_at": None, "finished_at": None, "waiting_since": since}
    values["waits_until"] = None
    return bool(change(session, JobRow, condition, state=JobState.PENDING, **values))


def write_again(session: Session, job_id: str, destinations: Sequence[str] | None, now: datetime) -> bool:
    """Restart a job that succeeded, to write the results that destinations lack; return False for any other job.

    Args:
        session: A session in a transaction.
        job_id: The job.
        destinations: The destinations of the job's results from now on; None for all.
        now: The current time.
    """
    condition = and_(JobRow.job_id == job_id, JobRow.state == JobState.SUCCEEDED)
    values: dict[str, Any] = {"attempt": 0, "next_attempt_at": now, "announced_at": None, "finished_at": None}
    values |= {"waiting_since": now, "destinations": None if destinations is None else list(destinations)}
    return bool(change(session, JobRow, condition, state=JobState.PENDING, **values))


def set_priority(session: Session, study_instance_uid: str, priority: Priority) -> int:
    """Give the waiting jobs of a study another priority, announce them again, and return their number."""
    waits = and_(JobRow.study_instance_uid == study_instance_uid, JobRow.state == JobState.PENDING)
    other = and_(waits, JobRow.priority != priority)
    return len(change(session, JobRow, other, priority=priority, announced_at=None))
