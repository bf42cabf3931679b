"""Age and number of waiting jobs and deliveries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db import canary, standing
from glam_node.node.db.changes import change
from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import DeliveryRow, JobRow, StudyRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState, Priority
from glam_node.node.domain.study import StudyState

# The waiting time of a row starts at its creation, unless a person or an archive made the row wait again later.
_JOB_WAITS_SINCE = func.coalesce(JobRow.waiting_since, JobRow.created_at)
_DELIVERY_WAITS_SINCE = func.coalesce(DeliveryRow.waiting_since, DeliveryRow.created_at)


def waits_from(session: Session, study_instance_uid: str, now: datetime) -> None:
    """Restart the waiting time of all pending jobs and deliveries of the study, for example when it is released."""
    jobs = and_(JobRow.study_instance_uid == study_instance_uid, JobRow.state == JobState.PENDING)
    change(session, JobRow, jobs, waiting_since=now)
    # A held job was due all the time, and no worker was to take it.
    change(session, JobRow, and_(jobs, JobRow.next_attempt_at < now), next_attempt_at=now)
    uid = DeliveryRow.study_instance_uid
    change(
        session,
        DeliveryRow,
        and_(uid == study_instance_uid, DeliveryRow.state == DeliveryState.PENDING),
        waiting_since=now,
    )


def oldest_unfinished_job(session: Session) -> datetime | None:
    """Return the time at which the oldest unfinished job began to wait; None if there is none.

    Jobs of studies that are held or set aside, of canaries, and those that wait for prior exams, are ignored.
    """
    query = select(func.min(_JOB_WAITS_SINCE)).where(JobRow.state.in_(UNFINISHED), JobRow.waits_until.is_(None))
    return session.scalar(query.where(*_of_patients_that_proceed(JobRow.study_instance_uid)))


def longest_due_job(session: Session) -> datetime | None:
    """Return the due time of the pending job that has been due longest; None if there is none.

    Jobs of studies that are held or set aside, of canaries, and those that wait for prior exams, are ignored.
    """
    is_due = JobRow.state == JobState.PENDING, JobRow.waits_until.is_(None)
    query = select(func.min(JobRow.next_attempt_at)).where(*is_due)
    return session.scalar(query.where(*_of_patients_that_proceed(JobRow.study_instance_uid)))


def _of_patients_that_proceed(study_instance_uid: InstrumentedAttribute[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that the row's study is neither held nor set aside, and not a canary."""
    return standing.may_proceed(study_instance_uid), canary.of_patients(study_instance_uid)


def left_out(session: Session, rules: Iterable[str], since: datetime) -> dict[str, int]:
    """Return the number of studies that each rule left out, counting only studies that received an image since then."""
    query = select(StudyRow.rule, func.count()).where(
        StudyRow.rule.in_(rules), StudyRow.state == StudyState.INELIGIBLE, StudyRow.last_received_at >= since
    )
    query = query.where(canary.of_patients(StudyRow.study_instance_uid))
    return {rule: count for rule, count in session.execute(query.group_by(StudyRow.rule))}


@dataclass(frozen=True, slots=True)
class Pending:
    """Deliveries that wait for one destination."""

    oldest: datetime
    """Time at which the oldest delivery began to wait."""
    next_attempt_at: datetime
    """Earliest next attempt."""


def pending_deliveries(session: Session) -> dict[str, Pending]:
    """Return the pending deliveries of each destination that has any.

    Deliveries of studies that are held or set aside, and of canaries, are ignored.
    """
    query = (
        select(DeliveryRow.destination, func.min(_DELIVERY_WAITS_SINCE), func.min(DeliveryRow.next_attempt_at))
        .where(DeliveryRow.state == DeliveryState.PENDING, *_of_patients_that_proceed(DeliveryRow.study_instance_uid))
        .group_by(DeliveryRow.destination)
    )
    return {destination: Pending(oldest, again) for destination, oldest, again in session.execute(query)}


def last_stored(session: Session, destinations: Iterable[str]) -> dict[str, datetime]:
    """Return the time of the last stored object for each destination that has stored any."""
    newest = {
        name: session.scalar(select(func.max(DeliveryRow.stored_at)).where(DeliveryRow.destination == name))
        for name in destinations
    }
    return {name: stored_at for name, stored_at in newest.items() if stored_at is not None}


@dataclass(frozen=True, slots=True)
class WaitingJobs:
    """Pending jobs of one priority."""

    priority: Priority
    count: int
    oldest: datetime
    """Time at which the oldest job began to wait."""


def waiting_jobs(session: Session) -> list[WaitingJobs]:
    """Return the pending jobs of each priority that has any, the most urgent first.

    Jobs of studies that are held or set aside are ignored.
    """
    query = (
        select(JobRow.priority, func.count(), func.min(_JOB_WAITS_SINCE))
        .where(JobRow.state == JobState.PENDING, standing.may_proceed(JobRow.study_instance_uid))
        .group_by(JobRow.priority)
        .order_by(JobRow.priority)
    )
    return [WaitingJobs(Priority(priority), count, oldest) for priority, count, oldest in session.execute(query)]
