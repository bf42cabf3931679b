"""Progress of sending events to the collector of traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from glam_node.node.db.audit import as_event
from glam_node.node.db.tables import EventRow, TraceCursorRow
from glam_node.node.domain.event import Event, EventKind

_ONLY = 1
_IDS_AT_ONCE = 1000
_GAPS = 1000
_GAP_KEPT = timedelta(days=1)
"""Time for which a gap is watched; no transaction lasts as long, so that its event was rolled back."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The events that were looked at."""

    event_id: int
    """ID of the last event that was looked at."""
    gaps: Mapping[int, datetime] = field(default_factory=dict)
    """Lower IDs that had no event, with the time when that was seen.

    PostgreSQL gives an ID to an event when it is inserted. A transaction that began earlier and takes longer commits an
    event with a lower ID after those with higher IDs were looked at.
    """


def cursor(session: Session) -> Cursor:
    """Return the progress; on the first call, it is behind the newest recorded event."""
    row = session.get(TraceCursorRow, _ONLY)
    if row is None:
        row = TraceCursorRow(cursor_id=_ONLY, event_id=session.scalar(select(func.max(EventRow.event_id))) or 0)
        session.add(row)
    return Cursor(row.event_id, {int(one): datetime.fromisoformat(at) for one, at in (row.gaps or {}).items()})


def move(session: Session, reached: Cursor) -> None:
    """Record the progress."""
    row = session.get_one(TraceCursorRow, _ONLY)
    row.event_id, row.gaps = reached.event_id, {str(one): at.isoformat() for one, at in reached.gaps.items()}


def after(
    session: Session, known: Cursor, kinds: Sequence[EventKind], limit: int, now: datetime
) -> tuple[list[Event], Cursor]:
    """Return up to `limit` events of studies of these kinds that were not looked at, by ID, and the new progress."""
    there = or_(EventRow.event_id > known.event_id, EventRow.event_id.in_(known.gaps))
    found = session.scalars(select(EventRow.event_id).where(there).order_by(EventRow.event_id).limit(_IDS_AT_ONCE))
    ids = set(found)
    chosen = and_(EventRow.event_id.in_(ids), EventRow.event.in_(kinds), EventRow.study_instance_uid != "")
    rows = session.scalars(select(EventRow).where(chosen).order_by(EventRow.event_id).limit(limit)).all()
    if len(rows) == limit:
        ids = {one for one in ids if one <= rows[-1].event_id}
    end = max(ids | {known.event_id})
    missing = {
        one: known.gaps.get(one, now) for one in (*known.gaps, *range(known.event_id + 1, end)) if one not in ids
    }
    watched = {one: at for one, at in missing.items() if now - at < _GAP_KEPT}
    events = [as_event(row) for row in rows]
    return events, Cursor(end, dict(sorted(watched.items())[-_GAPS:]))
