"""Repair of times that are too far in the future because the clock was set back after they were written."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.orm import Session

from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import DeliveryRow, JobRow, StudyRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState

SKEW = timedelta(seconds=60)
"""Permitted difference between the clocks of hosts that share a PostgreSQL database."""
SKEW_OF_ONE_HOST = timedelta(seconds=2)
"""Permitted difference with SQLite, where all processes use the clock of one host."""


def correct_future_times(session: Session, now: datetime, *, job_wait: timedelta, delivery_wait: timedelta) -> int:
    """Correct times that are further in the future than the node ever waits; return the number of corrected rows.

    The time without new images of a study then starts at `now`, jobs and deliveries become due, and leases end.

    Args:
        session: A session in a transaction.
        now: The current time, read after the transaction began.
        job_wait: The longest wait of a job: its longest retry delay or its lease.
        delivery_wait: The longest wait of a delivery: its longest retry delay or its claim.
    """
    soon = now + (SKEW_OF_ONE_HOST if session.get_bind().dialect.name == "sqlite" else SKEW)
    return sum(
        (
            _change(
                session,
                StudyRow,
                and_(StudyRow.state == StudyState.RECEIVING, StudyRow.last_received_at > soon),
                last_received_at=now,
                receiving_since=now,
            ),
            _change(session, JobRow, _waits_too_long(JobRow, JobState.PENDING, soon, job_wait), next_attempt_at=now),
            _change(
                session,
                JobRow,
                and_(JobRow.state == JobState.RUNNING, JobRow.lease_expires_at > soon + job_wait),
                lease_expires_at=now,
            ),
            _change(session, JobRow, and_(JobRow.state.in_(UNFINISHED), JobRow.rung_at > soon), rung_at=None),
            _change(
                session,
                DeliveryRow,
                _waits_too_long(DeliveryRow, DeliveryState.PENDING, soon, delivery_wait),
                next_attempt_at=now,
            ),
        )
    )


def _waits_too_long(
    row: type[JobRow] | type[DeliveryRow], pending: str, soon: datetime, longest: timedelta
) -> ColumnElement[bool]:
    """Return the condition of rows that wait longer than `longest`, or wait at all before their first attempt."""
    ahead = or_(row.next_attempt_at > soon + longest, and_(row.attempt == 0, row.next_attempt_at > soon))
    return and_(row.state == pending, ahead)


def _change(session: Session, row: type[Any], condition: ColumnElement[bool], **values: Any) -> int:
    statement = update(row).where(condition).values(values).returning(*row.__table__.primary_key)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())
