"""Events: the timeline of every study, and refusals. They never contain patient names, IDs or birth dates."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.orm import Session

from glam_node.node.db import canary
from glam_node.node.db.tables import Base, EventRow
from glam_node.node.domain.event import Event, EventDetail, EventKind
from glam_node.node.errors import TransientError

# Built once, since building the statement costs as much as executing it.
_INSERT = insert(Base.metadata.tables[EventRow.__tablename__])
# While versions are mixed, a newer one may record kinds of events that only its own processes can read. The expression
# is not a plain column, or SQLite would use the index of kinds and read all events instead of those of the other index.
_IS_KNOWN = EventRow.event.concat("").in_(list(EventKind))


def record(
    session: Session, kind: EventKind, at: datetime, /, *, study_instance_uid: str = "", **detail: Unpack[EventDetail]
) -> None:
    """Add one event, in the transaction of the change that it describes."""
    session.add(EventRow(**row(kind, at, study_instance_uid=study_instance_uid, **detail)))


def record_all(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add many events with one statement, each built by `row`."""
    if rows:
        session.connection().execute(_INSERT, list(rows))


def row(
    kind: EventKind, at: datetime, /, *, study_instance_uid: str = "", **detail: Unpack[EventDetail]
) -> dict[str, Any]:
    """Return the columns of one event, for `record_all`."""
    return {"at": at, "event": kind, "study_instance_uid": study_instance_uid, "detail": detail}


def timeline(session: Session, study_instance_uid: str) -> list[Event]:
    """Return all events of one study, the oldest first."""
    query = select(EventRow).where(EventRow.study_instance_uid == study_instance_uid, _IS_KNOWN)
    return [as_event(row) for row in session.scalars(query.order_by(EventRow.event_id))]


def counts(session: Session, kinds: Sequence[EventKind]) -> dict[EventKind, int]:
    """Return the number of recorded events of each kind, zero included, without those about canaries."""
    query = select(EventRow.event, func.count()).where(EventRow.event.in_(kinds)).group_by(EventRow.event)
    counts = Counter(dict.fromkeys(kinds, 0) | {EventKind(kind): count for kind, count in session.execute(query)})
    canaries = query.where(EventRow.study_instance_uid.in_(canary.ever()))
    counts.subtract({EventKind(kind): count for kind, count in session.execute(canaries)})
    return dict(counts)


def recent(session: Session, kind: EventKind, limit: int, without: Select[str] | None = None) -> list[Event]:
    """Return the last `limit` events of one kind, the newest first, without those about canaries.

    Args:
        session: Database session.
        kind: The kind.
        limit: The number of events.
        without: The UIDs of studies whose events are left out, too.
    """
    query = select(EventRow).where(EventRow.event == kind, EventRow.study_instance_uid.not_in(canary.ever()))
    if without is not None:
        query = query.where(EventRow.study_instance_uid.not_in(without))
    query = query.order_by(EventRow.event_id.desc()).limit(limit)
    return [as_event(row) for row in session.scalars(query)]


def newest_of_studies(session: Session, kind: EventKind, study_instance_uids: Collection[str]) -> dict[str, Event]:
    """Return the newest event of one kind for each study that has any, by Study Instance UID."""
    query = select(EventRow).where(EventRow.study_instance_uid.in_(study_instance_uids), EventRow.event == kind)
    return {row.study_instance_uid: as_event(row) for row in session.scalars(query.order_by(EventRow.event_id))}


def without_message(session: Session, limit: int) -> list[Event]:
    """Return the first `limit` events whose audit message is not decided yet, the oldest first."""
    query = select(EventRow).where(EventRow.audit_sequence.is_(None), _IS_KNOWN)
    return [as_event(row) for row in session.scalars(query.order_by(EventRow.event_id).limit(limit))]


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


def as_event(row: EventRow) -> Event:
    """Return the event of a row, whose kind must be known."""
    return Event(row.at, EventKind(row.event), row.study_instance_uid, row.detail, row.event_id)
