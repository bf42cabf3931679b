"""The timeline of every study, and what was refused; never names, ids or birth dates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
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


def recent(session: Session, event: str, limit: int) -> list[Event]:
    """The last `limit` events of one kind, newest first."""
    query = select(EventRow).where(EventRow.event == event).order_by(EventRow.event_id.desc()).limit(limit)
    return [_event(row) for row in session.scalars(query)]


def _event(row: EventRow) -> Event:
    return Event(row.at, row.event, row.study_instance_uid, row.detail)
