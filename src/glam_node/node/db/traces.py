"""Progress of sending events to the collector of traces."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from glam_node.node.db.audit import as_event
from glam_node.node.db.tables import EventRow, TraceCursorRow
from glam_node.node.domain.event import Event, EventKind

_ONLY = 1


def cursor(session: Session) -> int:
    """Return the ID of the last event that was sent; on the first call, that of the newest recorded event."""
    row = session.get(TraceCursorRow, _ONLY)
    if row is None:
        row = TraceCursorRow(cursor_id=_ONLY, event_id=session.scalar(select(func.max(EventRow.event_id))) or 0)
        session.add(row)
    return row.event_id


def move_cursor(session: Session, event_id: int) -> None:
    """Record that all events up to this one were sent."""
    session.get_one(TraceCursorRow, _ONLY).event_id = event_id


def after(session: Session, event_id: int, kinds: Sequence[EventKind], until: datetime, limit: int) -> list[Event]:
    """Return the first `limit` events of studies of these kinds after `event_id` and until `until`, oldest first."""
    query = select(EventRow).where(
        EventRow.event_id > event_id, EventRow.event.in_(kinds), EventRow.at <= until, EventRow.study_instance_uid != ""
    )
    rows = session.scalars(query.order_by(EventRow.event_id).limit(limit))
    return [as_event(row) for row in rows]
