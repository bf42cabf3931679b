"""Repair of times that are too far in the future because the clock was set back after they were written."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.orm import Session

from glam_node.node.db.changes import in_order
from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import AlertMessageRow, CommitmentRequestRow, DeliveryRow, JobRow, StudyRow
from glam_node.node.domain.commitment import RequestState
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.prior import LONGEST_WAIT
from glam_node.node.domain.study import StudyState

SKEW = timedelta(seconds=60)
"""Permitted difference between the clocks of hosts that share a PostgreSQL database."""
SKEW_OF_ONE_HOST = timedelta(seconds=2)
"""Permitted difference with SQLite, where all processes use the clock of one host."""


@dataclass(frozen=True, slots=True)
class LongestWaits:
    """The longest waits that the node asks for."""

    job: timedelta
    """Longest retry delay or lease of a job."""
    delivery: timedelta
    """Longest retry delay or claim of a delivery."""
    archive_reply: timedelta
    """Time that an archive has for its reply to a request for storage commitment."""
    peer_reply: timedelta
    """Longest retry delay or claim of a reply to a peer's request for storage commitment."""
    alert: timedelta
    """Longest retry delay of an alert message."""
    archives: Collection[str]
    """Names of the destinations that are asked for storage commitment."""


def correct_future_times(session: Session, now: datetime, longest: LongestWaits) -> int:
    """Correct times that are further in the future than the node ever waits; return the number of corrected rows.

    The time without new images of a study and the time of an archive for its reply then start at `now`. Jobs,
    deliveries, replies and alert messages become due, and leases end.

    Args:
        session: A session in a transaction.
        now: The current time, read after the transaction began.
        longest: The longest waits.
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
            _make_due(session, JobRow, JobRow.state == JobState.PENDING, now, soon, longest.job),
            _change(
                session,
                JobRow,
                and_(JobRow.state == JobState.RUNNING, JobRow.lease_expires_at > soon + longest.job),
                lease_expires_at=now,
            ),
            _change(session, JobRow, and_(JobRow.state.in_(UNFINISHED), JobRow.announced_at > soon), announced_at=None),
            _change(session, JobRow, JobRow.waits_until > soon + LONGEST_WAIT, waits_until=None, announced_at=None),
            _make_due(session, DeliveryRow, DeliveryRow.state == DeliveryState.PENDING, now, soon, longest.delivery),
            _correct_commitments(session, now, soon, longest),
            _make_due(session, AlertMessageRow, AlertMessageRow.sent_at.is_(None), now, soon, longest.alert),
        )
    )


def _correct_commitments(session: Session, now: datetime, soon: datetime, longest: LongestWaits) -> int:
    # Only with the destinations an index gives the few rows among all results that were ever stored.
    is_stored = and_(DeliveryRow.state == DeliveryState.STORED, DeliveryRow.destination.in_(longest.archives))
    next_attempt_at = DeliveryRow.next_attempt_at
    unasked = and_(is_stored, DeliveryRow.transaction_uid == "", next_attempt_at > soon + longest.delivery)
    asked = and_(is_stored, DeliveryRow.transaction_uid != "", next_attempt_at > soon + longest.archive_reply)
    requested = CommitmentRequestRow.state == RequestState.PENDING
    return (
        _change(session, DeliveryRow, unasked, next_attempt_at=now)
        + _change(session, DeliveryRow, asked, next_attempt_at=now + longest.archive_reply)
        + _make_due(session, CommitmentRequestRow, requested, now, soon, longest.peer_reply)
    )


def _make_due(
    session: Session,
    row: type[JobRow | DeliveryRow | CommitmentRequestRow | AlertMessageRow],
    waits: ColumnElement[bool],
    now: datetime,
    soon: datetime,
    longest: timedelta,
) -> int:
    """Make rows due that wait longer than `longest`, or wait at all before their first attempt."""
    ahead = or_(row.next_attempt_at > soon + longest, and_(row.attempt == 0, row.next_attempt_at > soon))
    return _change(session, row, and_(waits, ahead), next_attempt_at=now)


def _change(session: Session, row: type[Any], condition: ColumnElement[bool], **values: Any) -> int:
    statement = (
        update(row).where(in_order(session, row, condition)).values(values).returning(*row.__table__.primary_key)
    )
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())
