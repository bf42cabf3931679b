"""Export of traces, made from recorded events, so that no process is slowed down and no event is missed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from glam_node.node.db import audit, jobs, traces
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.trace import Span
from glam_node.node.workflow.trace_spans import TRACED, spans_of

AT_ONCE = 100
SETTLED = timedelta(seconds=2)
"""Age after which no earlier event can still be uncommitted."""

Export = Callable[[Sequence[Span]], None]
"""Function that sends spans to the collector; raises TransientError when it cannot be reached."""


def trace(sessions: SessionFactory, export: Export, now: datetime) -> int:
    """Export the spans of up to AT_ONCE new events, and return how many events there were.

    The first call ever starts with the events after it. Call it again while there are any.

    Raises:
        TransientError: The collector cannot be reached; the next call exports the same spans with the same IDs.
    """
    with sessions.begin() as session:
        told_until = traces.cursor(session)
    with reading(sessions)() as session:
        events = traces.after(session, told_until, TRACED, now - SETTLED, AT_ONCE)
        spans = []
        for event in events:
            before = [one for one in audit.timeline(session, event.study_instance_uid) if one.event_id < event.event_id]
            job = jobs.get(session, event.detail["job_id"]) if event.event == "job_succeeded" else None
            spans += spans_of(event, before, job.stage_seconds if job is not None else ())
    if spans:
        export(spans)
    if events:
        with sessions.begin() as session:
            traces.move_cursor(session, events[-1].event_id)
    return len(events)
