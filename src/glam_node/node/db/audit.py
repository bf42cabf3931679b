"""Events: the timeline of every study, and refusals. They never contain patient names, IDs or birth dates."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import Base, EventRow
from glam_node.node.errors import TransientError

# Built once, since building the statement costs as much as executing it.
_INSERT = insert(Base.metadata.tables[EventRow.__tablename__])


@dataclass(frozen=True, slots=True)
class Event:
    """Event of a study, or of the node if `study_instance_uid` is empty."""

    at: datetime
    event: str
    study_instance_uid: str
    detail: dict[str, Any]
    event_id: int


def record(session: Session, event: str, at: datetime, *, study_instance_uid: str = "", **detail: Any) -> None:
    """Add one event, in the transaction of the change that it describes."""
    session.add(EventRow(**row(event, at, study_instance_uid=study_instance_uid, **detail)))


def record_all(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add many events with one statement, each built by `row`."""
    if rows:
        session.connection().execute(_INSERT, list(rows))


def row(event: str, at: datetime, *, study_instance_uid: str = "", **detail: Any) -> dict[str, Any]:
    """Return the columns of one event, for `record_all`."""
    return {"at": at, "event": event, "study_instance_uid": study_instance_uid, "detail": detail}


def timeline(session: Session, study_instance_uid: str) -> list[Event]:
    """Return all events of one study, the oldest first."""
    query = select(EventRow).where(EventRow.study_instance_uid == study_instance_uid).order_by(EventRow.event_id)
    return [_event(row) for row in session.scalars(query)]


def counts(session: Session, events: Sequence[str]) -> dict[str, int]:
    """Return the number of recorded events of each name, zero included."""
    query = select(EventRow.event, func.count()).where(EventRow.event.in_(events)).group_by(EventRow.event)
    return dict.fromkeys(events, 0) | {event: count for event, count in session.execute(query)}


def recent(session: Session, event: str, limit: int) -> list[Event]:
    """Return the last `limit` events of one name, the newest first."""
    query = select(EventRow).where(EventRow.event == event).order_by(EventRow.event_id.desc()).limit(limit)
    return [_event(row) for row in session.scalars(query)]


def newest_of_studies(session: Session, event: str, study_instance_uids: Collection[str]) -> dict[str, Event]:
    """Return the newest event of one name for each study that has any, by Study Instance UID."""
    query = select(EventRow).where(EventRow.study_instance_uid.in_(study_instance_uids), EventRow.event == event)
    return {row.study_instance_uid: _event(row) for row in session.scalars(query.order_by(EventRow.event_id))}


def without_message(session: Session, limit: int) -> list[Event]:
    """Return the first `limit` events whose audit message is not decided yet, the oldest first."""
    query = select(EventRow).where(EventRow.audit_sequence.is_(None)).order_by(EventRow.event_id).limit(limit)
    return [_event(row) for row in session.scalars(query)]


def set_messages(session: Session, sequences: Mapping[int, int]) -> None:
    """Record which audit message describes each event.

    Args:
        session: A session in a transaction.
        sequences: Sequence number of the audit message by event_id; 0 for an event that needs no message.

    Raises:
        TransientError: Another process has recorded a message for one of the events meanwhile.
    """
    unsettled = select(EventRow.event_id).where(EventRow.event_id.in_(sequences), EventRow.audit_sequence.is_(None))
    if len(session.scalars(unsettled.with_for_update()).all()) != len(sequences):
        raise TransientError("Another process writes audit messages about the same events. Run only one dispatcher.")
    session.execute(update(EventRow), [{"event_id": key, "audit_sequence": sequences[key]} for key in sequences])


def _event(row: EventRow) -> Event:
    return Event(row.at, row.event, row.study_instance_uid, row.detail, row.event_id)
