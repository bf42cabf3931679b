"""Export of traces, made from recorded events, so that no process is slowed down and no event is missed.

The spans of a study are receive, assemble, judge, wait, infer with its stages, publish and deliver.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from glam_node.node.db import audit, jobs, traces
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.domain.trace import Span

Stages = Sequence[tuple[str, float]]
"""Name and duration in seconds of each stage of a job."""
WRITE = "write"

ATTRIBUTES = (
    "rule",
    "images",
    "priority",
    "attempt",
    "job_id",
    "destination",
    "sop_class_uid",
    "algorithm_version",
    "queued",
)
"""Details of events that become attributes of spans; reasons and failures are left out, as they may say too much."""


def spans_of(event: Event, before: Sequence[Event], stages: Stages = ()) -> list[Span]:
    """Return the spans that end with an event.

    Args:
        event: Event that ends the spans.
        before: Earlier events of its study, oldest first.
        stages: Stages of the job, if the event ends a job.
    """
    make = _ENDS.get(event.kind)
    return list(make(_SpanEnd(event, before, stages))) if make is not None else []


class _SpanEnd:
    """The event at which spans end, with the earlier events of its study."""

    def __init__(self, event: Event, before: Sequence[Event], stages: Stages) -> None:
        self.event, self.before, self.stages = event, before, stages
        completed = [place for place, one in enumerate(before) if one.kind is EventKind.STUDY_COMPLETE]
        self.completes = event.kind is EventKind.STUDY_COMPLETE
        self._round = len(completed) + self.completes
        begins = completed[-1] + 1 if self.completes and completed else 0
        if not self.completes and len(completed) > 1:
            begins = completed[-2] + 1
        self.arrived = [one for one in before[begins:] if one.kind is EventKind.INSTANCE_STORED]

    @property
    def root(self) -> str:
        return f"study {self._round}"

    def last(self, *kinds: EventKind, same_job: bool = False) -> datetime:
        """Return the time of the last earlier event of these kinds; the time of this event where there is none."""
        job_id = self.event.detail.get("job_id")
        found = [
            one.at for one in self.before if one.kind in kinds and (not same_job or one.detail.get("job_id") == job_id)
        ]
        return found[-1] if found else self.event.at

    def span(self, name: str, begin: datetime, end: datetime, *, parent: str = "", **given: Any) -> Span:
        event = self.event
        attributes = {
            key: value for key, value in event.detail.items() if key in ATTRIBUTES and isinstance(value, str | int)
        }
        failed = bool(given.pop("failed", False))
        key = f"{name} {event.event_id}"
        return Span(
            name, event.study_instance_uid, key, parent or self.root, begin, max(begin, end), attributes | given, failed
        )

    def whole(self) -> Span:
        """Return the root span, from the first image that arrived in this round to this event."""
        begin = self.arrived[0].at if self.arrived else self.event.at
        return Span("study", self.event.study_instance_uid, self.root, "", begin, self.event.at, {})


def _complete(end: _SpanEnd) -> Iterator[Span]:
    at = end.event.at
    first, last = (end.arrived[0].at, end.arrived[-1].at) if end.arrived else (at, at)
    yield end.span("receive", first, last, instances=len(end.arrived))
    yield end.span("assemble", last, at)


def _judged(end: _SpanEnd) -> Iterator[Span]:
    yield end.span("judge", end.last(EventKind.STUDY_COMPLETE), end.event.at)
    if end.event.kind is EventKind.STUDY_INELIGIBLE:
        yield end.whole()


def _started(end: _SpanEnd) -> Iterator[Span]:
    yield end.span("wait", end.last(EventKind.JOB_SUBMITTED, EventKind.JOB_FAILED, same_job=True), end.event.at)


def _succeeded(end: _SpanEnd) -> Iterator[Span]:
    started = end.last(EventKind.JOB_STARTED, same_job=True)
    found = [(stage, seconds) for stage, seconds in end.stages if stage != WRITE]
    infer = end.span("infer", started, started + timedelta(seconds=sum(seconds for _, seconds in found)))
    yield infer
    at = started
    for stage, seconds in found:
        until = at + timedelta(seconds=seconds)
        yield end.span(f"infer.{stage}", at, until, parent=infer.key)
        at = until
    yield end.span("publish", infer.end, end.event.at)
    yield end.whole()


def _failed(end: _SpanEnd) -> Iterator[Span]:
    yield end.span("infer", end.last(EventKind.JOB_STARTED, same_job=True), end.event.at, failed=True)


def _delivered(end: _SpanEnd) -> Iterator[Span]:
    failed = end.event.kind is not EventKind.RESULT_STORED
    yield end.span("deliver", end.last(EventKind.JOB_SUCCEEDED), end.event.at, failed=failed)


_ENDS: Mapping[EventKind, Callable[[_SpanEnd], Iterator[Span]]] = {
    EventKind.STUDY_COMPLETE: _complete,
    EventKind.STUDY_INELIGIBLE: _judged,
    EventKind.JOB_SUBMITTED: _judged,
    EventKind.JOB_STARTED: _started,
    EventKind.JOB_SUCCEEDED: _succeeded,
    EventKind.JOB_FAILED: _failed,
    EventKind.RESULT_STORED: _delivered,
    EventKind.RESULT_FAILED: _delivered,
    EventKind.DELIVERY_ABANDONED: _delivered,
}
TRACED = tuple(_ENDS)
"""Kinds of events that end spans."""


AT_ONCE = 100

Export = Callable[[Sequence[Span]], None]
"""Function that sends spans to the collector; raises TransientError when it cannot be reached."""


def export_traces(sessions: SessionFactory, export: Export, now: datetime) -> int:
    """Export the spans of up to AT_ONCE new events, and return how many events there were.

    The very first call exports nothing: export starts with the events after it. If there were any events, call the
    function again. An event that a slow transaction commits after later ones is exported then.

    Raises:
        TransientError: The collector cannot be reached; the next call exports the same spans with the same IDs.
    """
    with sessions.begin() as session:
        exported = traces.cursor(session)
    with reading(sessions)() as session:
        events, reached = traces.after(session, exported, TRACED, AT_ONCE, now)
        spans = []
        for event in events:
            before = [one for one in audit.timeline(session, event.study_instance_uid) if one.event_id < event.event_id]
            job = jobs.get(session, event.detail["job_id"]) if event.kind is EventKind.JOB_SUCCEEDED else None
            spans += spans_of(event, before, job.stage_seconds if job is not None else ())
    if spans:
        export(spans)
    if reached != exported:
        with sessions.begin() as session:
            traces.move(session, reached)
    return len(events)
