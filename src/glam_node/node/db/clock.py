"""Times on record that cannot be, since the clock went back after they were written."""

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
"""What the clocks of hosts that share a database may differ by."""
SKEW_OF_ONE_HOST = timedelta(seconds=2)
"""The same where all are on one, as with SQLite: there is one clock."""


def bring_back(session: Session, now: datetime, *, job_wait: timedelta, delivery_wait: timedelta) -> int:
    """How many rows waited for a time that lies further ahead than any wait of ours; they wait no longer.

    A study's silence counts from now, a job or a delivery is due, a lease is over. The waits are the longest that a
    retry, a lease or a claim asks for. `now` is no older than the transaction.
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
    """What was never tried waits for nothing, what was tried no longer than `longest`."""
    ahead = or_(row.next_attempt_at > soon + longest, and_(row.attempt == 0, row.next_attempt_at > soon))
    return and_(row.state == pending, ahead)


def _change(session: Session, row: type[Any], condition: ColumnElement[bool], **values: Any) -> int:
    statement = update(row).where(condition).values(values).returning(*row.__table__.primary_key)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())
