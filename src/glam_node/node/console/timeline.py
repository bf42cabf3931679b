"""The timeline of a study: its events as steps, with the duration of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from glam_node.node.domain.words import counted

NAMES = {
    "instance_stored": "received",
    "instance_duplicate": "received again",
    "study_complete": "complete",
    "study_ineligible": "judged: not analysed",
    "job_submitted": "judged: to be analysed",
    "job_started": "claimed by a worker",
    "job_failed": "analysis failed",
    "job_superseded": "job superseded",
    "job_succeeded": "analysed, results handed to delivery",
    "result_written": "result written",
    "result_not_written": "result could not be written",
    "result_stored": "delivered",
    "result_warned_of": "delivered with a warning",
    "result_failed": "delivery failed",
    "result_committed": "commitment given",
    "result_not_committed": "commitment refused",
    "delivery_abandoned": "delivery given up",
    "delivery_replaced": "delivered otherwise",
    "retry_requested": "retry requested",
    "study_retired": "files removed",
    "newer_taken": "newer images taken",
    "newer_left": "first images kept",
}
"""The name of a step by its event; steps of other events have the event's name."""

_RECEIVED = "instance_stored"
_ENDS_OF_STAGES = ("result_written", "job_succeeded")
_HIDDEN_DETAILS = ("job_id", "mean_scores", "study_scores", "sop_class_uid", "patient_mismatch", "owner", "byte_count")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline."""

    name: str
    at: datetime | None
    """The time; None for a stage of an analysis, because only its duration was measured."""
    seconds: float | None
    """The time since the step before, or the duration of a stage; None for the first step."""
    detail: str = ""
    failed: bool = False
    begins: float = 0.0
    """The start of a stage, as a fraction of the analysis."""
    part: float = 0.0
    """The duration of a stage, as a fraction of the analysis; 0 for other steps."""


def steps(events: Sequence[dict[str, Any]], jobs: Sequence[dict[str, Any]]) -> list[Step]:
    """Return all steps in order; of consecutively received instances only the first and the last."""
    stages = {job["job_id"]: job["stage_seconds"] for job in jobs}
    timed: list[Step] = []
    for step in _steps(events, stages):
        before = next((one.at for one in reversed(timed) if one.at is not None), None)
        since = None if step.at is None or before is None else (step.at - before) / timedelta(seconds=1)
        timed.append(step if step.at is None else replace(step, seconds=since))
    return timed


def _steps(events: Sequence[dict[str, Any]], stages: dict[str, dict[str, float]]) -> Iterator[Step]:
    """Yield the steps without durations; the stages of an analysis come before the results that it wrote."""
    remaining = dict(stages)
    for kind, group in groupby(events, key=lambda event: event["event"]):
        alike = list(group)
        if kind == _RECEIVED:
            yield from _received(alike)
            continue
        for event in alike:
            if kind in _ENDS_OF_STAGES:
                yield from _stages(remaining.pop(event["detail"].get("job_id", ""), {}))
            yield _step(event)


def _received(events: Sequence[dict[str, Any]]) -> Iterator[Step]:
    first, last = events[0], events[-1]
    sender = f"from {first['detail'].get('calling_ae_title', '')}"
    if len(events) == 1:
        yield Step("one instance received", first["at"], None, sender)
        return
    yield Step("first instance received", first["at"], None, sender)
    size = sum(int(event["detail"].get("byte_count", 0)) for event in events)
    yield Step("last instance received", last["at"], None, f"{counted(len(events), 'instance')}, {size / 1e6:.1f} MB")


def _stages(seconds: dict[str, float]) -> Iterator[Step]:
    whole, begun = sum(seconds.values()) or 1.0, 0.0
    for name, took in seconds.items():
        yield Step(name, None, took, begins=begun / whole, part=took / whole)
        begun += took


def _step(event: dict[str, Any]) -> Step:
    detail = event["detail"]
    said = [f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if _is_shown(name, value)]
    failed = bool(detail.get("failure"))
    return Step(NAMES.get(event["event"], event["event"].replace("_", " ")), event["at"], None, "; ".join(said), failed)


def _is_shown(name: str, value: object) -> bool:
    return name not in _HIDDEN_DETAILS and value not in ("", None, [], {})
