"""The timeline of every study, and what was refused; never names, ids or birth dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from glam_node.node.db.tables import EventRow


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: datetime
    event: str
    study_instance_uid: str
    detail: dict[str, Any]


def record(session: Session, event: str, at: datetime, *, study_instance_uid: str = "", **detail: Any) -> None:
    """Add one event to the transaction of the change that it tells of."""
    session.add(EventRow(at=at, event=event, study_instance_uid=study_instance_uid, detail=detail))


def timeline(session: Session, study_instance_uid: str) -> list[Event]:
    """All events of one study, oldest first."""
    query = select(EventRow).where(EventRow.study_instance_uid == study_instance_uid).order_by(EventRow.event_id)
    return [_event(row) for row in session.scalars(query)]


def counts(session: Session, events: Sequence[str]) -> dict[str, int]:
    """How many of each of these kinds are on record, none included."""
    query = select(EventRow.event, func.count()).where(EventRow.event.in_(events)).group_by(EventRow.event)
    return dict.fromkeys(events, 0) | {event: count for event, count in session.execute(query)}


def recent(session: Session, event: str, limit: int) -> list[Event]:
    """The last `limit` events of one kind, newest first."""
    query = select(EventRow).where(EventRow.event == event).order_by(EventRow.event_id.desc()).limit(limit)
    return [_event(row) for row in session.scalars(query)]


def _event(row: EventRow) -> Event:
    return Event(row.at, row.event, row.study_instance_uid, row.detail)
