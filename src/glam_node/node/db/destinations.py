"""Failed calls to destinations, and the time at which each destination may be called again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from glam_node.node.db.changes import insert_missing
from glam_node.node.db.tables import DestinationRow
from glam_node.node.domain.job import RetryPolicy

CALL_EVERY = timedelta(seconds=30)
"""Maximum time between calls to a destination that does not answer, so that it gets results soon after it is back."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to one destination, of which at least one has failed."""

    attempt: int
    """Number of attempts since the last one that stored an object; 0 if the destination accepts results."""
    next_call_at: datetime
    failure: str
    """Message of the last failed attempt."""
    failed_at: datetime | None


def calls(session: Session) -> dict[str, Calls]:
    """Return the calls to each destination that has failed, by name."""
    rows = session.scalars(select(DestinationRow).execution_options(populate_existing=True))
    return {row.name: Calls(row.attempt, row.next_call_at, row.failure, row.failed_at) for row in rows}


def may_be_called(session: Session, name: str, now: datetime) -> bool:
    """Return whether the destination may be called: no failure is known, or its next call is due."""
    row = session.get(DestinationRow, name, populate_existing=True)
    # A time that is further ahead than any wait was written before the clock was set back.
    return row is None or not now < row.next_call_at <= now + CALL_EVERY


def record_failure(session: Session, name: str, failure: str, policy: RetryPolicy, now: datetime) -> bool:
    """Record that the destination did not answer, and set the time of its next call.

    Returns:
        Whether the call counts as an attempt. Calls that come earlier than the delay of `policy` do not count.
    """
    row = _row(session, name, now)
    counts = row.attempt == 0 or now >= row.next_attempt_at
    if counts:
        row.attempt += 1
        row.next_attempt_at = now + policy.delay(row.attempt)
    row.next_call_at = min(max(row.next_attempt_at, now), now + CALL_EVERY)
    row.failure, row.failed_at = failure, now
    return counts


def record_refusal(session: Session, name: str, failure: str, now: datetime, *, stored_any: bool) -> None:
    """Record that the destination answered and refused an object; it may be called again at once."""
    row = _row(session, name, now)
    row.attempt = 0 if stored_any else row.attempt + 1
    row.next_attempt_at = row.next_call_at = now
    row.failure, row.failed_at = failure, now


def record_success(session: Session, name: str, now: datetime) -> int:
    """Record that the destination stored an object, and return the number of failed attempts before it."""
    row = session.get(DestinationRow, name, populate_existing=True)
    failed = 0 if row is None else row.attempt
    if row is not None and failed:
        row.attempt, row.next_attempt_at, row.next_call_at = 0, now, now
    return failed


def call_now(session: Session, name: str, now: datetime) -> bool:
    """Make the next call to the destination due now; return False if it was due already."""
    row = session.get(DestinationRow, name, populate_existing=True)
    if row is None or row.next_call_at <= now:
        return False
    row.next_call_at = now
    return True


def _row(session: Session, name: str, now: datetime) -> DestinationRow:
    new = {"name": name, "attempt": 0, "next_attempt_at": now, "next_call_at": now, "failure": "", "failed_at": None}
    insert_missing(session, DestinationRow, [new])
    return session.get_one(DestinationRow, name, populate_existing=True)
