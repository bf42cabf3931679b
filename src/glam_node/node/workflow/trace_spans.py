"""Spans of the trace of a study: receive, assemble, judge, wait, infer with its stages, publish and deliver."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from glam_node.node.db.audit import Event
from glam_node.node.domain.trace import Span

Stages = Sequence[tuple[str, float]]
"""Name and duration in seconds of each stage of a job."""
WRITE = "write"

_TOLD = (
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
"""Details of events that become attributes; reasons and failures may contain more than a trace should."""


def spans_of(event: Event, before: Sequence[Event], stages: Stages = ()) -> list[Span]:
    """Return the spans that end with an event.

    Args:
        event: Event that ends the spans.
        before: Earlier events of its study, oldest first.
        stages: Stages of the job, where the event is the end of one.
    """
    make = _ENDS.get(event.event)
    return list(make(_Told(event, before, stages))) if make is not None else []


class _Told:
    """An event with the earlier events of its study."""

    def __init__(self, event: Event, before: Sequence[Event], stages: Stages) -> None:
        self.event, self.before, self.stages = event, before, stages
        completed = [place for place, one in enumerate(before) if one.event == "study_complete"]
        self.completes = event.event == "study_complete"
        self._round = len(completed) + self.completes
        begins = completed[-1] + 1 if self.completes and completed else 0
        if not self.completes and len(completed) > 1:
            begins = completed[-2] + 1
        self.arrived = [one for one in before[begins:] if one.event == "instance_stored"]

    @property
    def root(self) -> str:
        return f"study {self._round}"

    def last(self, *names: str, same_job: bool = False) -> datetime:
        """Return the time of the last earlier event of these names; the time of this event where there is none."""
        job_id = self.event.detail.get("job_id")
        found = [
            one.at for one in self.before if one.event in names and (not same_job or one.detail.get("job_id") == job_id)
        ]
        return found[-1] if found else self.event.at

    def span(self, name: str, begin: datetime, end: datetime, *, parent: str = "", **given: Any) -> Span:
        event = self.event
        told = {key: value for key, value in event.detail.items() if key in _TOLD and isinstance(value, str | int)}
        failed = bool(given.pop("failed", False))
        key = f"{name} {event.event_id}"
        return Span(
            name, event.study_instance_uid, key, parent or self.root, begin, max(begin, end), told | given, failed
        )

    def whole(self) -> Span:
        """Return the root span, from the first image that arrived in this round to this event."""
        begin = self.arrived[0].at if self.arrived else self.event.at
        return Span("study", self.event.study_instance_uid, self.root, "", begin, self.event.at, {})


def _complete(told: _Told) -> Iterator[Span]:
    at = told.event.at
    first, last = (told.arrived[0].at, told.arrived[-1].at) if told.arrived else (at, at)
    yield told.span("receive", first, last, instances=len(told.arrived))
    yield told.span("assemble", last, at)


def _judged(told: _Told) -> Iterator[Span]:
    yield told.span("judge", told.last("study_complete"), told.event.at)
    if told.event.event == "study_ineligible":
        yield told.whole()


def _started(told: _Told) -> Iterator[Span]:
    yield told.span("wait", told.last("job_submitted", "job_failed", same_job=True), told.event.at)


def _succeeded(told: _Told) -> Iterator[Span]:
    started = told.last("job_started", same_job=True)
    found = [(stage, seconds) for stage, seconds in told.stages if stage != WRITE]
    infer = told.span("infer", started, started + timedelta(seconds=sum(seconds for _, seconds in found)))
    yield infer
    at = started
    for stage, seconds in found:
        until = at + timedelta(seconds=seconds)
        yield told.span(f"infer.{stage}", at, until, parent=infer.key)
        at = until
    yield told.span("publish", infer.end, told.event.at)
    yield told.whole()


def _failed(told: _Told) -> Iterator[Span]:
    yield told.span("infer", told.last("job_started", same_job=True), told.event.at, failed=True)


def _delivered(told: _Told) -> Iterator[Span]:
    failed = told.event.event != "result_stored"
    yield told.span("deliver", told.last("job_succeeded"), told.event.at, failed=failed)


_ENDS: Mapping[str, Callable[[_Told], Iterator[Span]]] = {
    "study_complete": _complete,
    "study_ineligible": _judged,
    "job_submitted": _judged,
    "job_started": _started,
    "job_succeeded": _succeeded,
    "job_failed": _failed,
    "result_stored": _delivered,
    "result_failed": _delivered,
    "delivery_abandoned": _delivered,
}
TRACED = tuple(_ENDS)
"""Names of the events that end spans."""
