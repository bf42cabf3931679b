"""Tells a collector of traces what happened, from what is on record: no process is slower for it, none is missed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from glam_node.node.db import audit, jobs, traces
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.trace import Span
from glam_node.node.workflow.trace_spans import TRACED, spans_of

AT_ONCE = 100
SETTLED = timedelta(seconds=2)
"""An event this old has no earlier one that is still to be committed."""

Export = Callable[[Sequence[Span]], None]
"""The collector has them. Raises TransientError."""


def trace(sessions: SessionFactory, export: Export, now: datetime) -> int:
    """How many events the collector has been told of; to be called again while there are any.

    Where it was never told of any it hears of what happens from now on. Raises TransientError when it is away; then it
    is told the same spans again, by the same ids.
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
