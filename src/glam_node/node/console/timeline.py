"""The timeline of a study: its events as steps, with the duration of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from glam_node.node.domain.event import EventKind
from glam_node.node.domain.words import counted

NAMES: Mapping[EventKind, str] = {
    EventKind.INSTANCE_STORED: "received",
    EventKind.INSTANCE_DUPLICATE: "received again",
    EventKind.ORDER_RECEIVED: "order of the hospital",
    EventKind.ORDER_FETCHED: "fetched for an order",
    EventKind.PATIENT_CHANGED: "patient corrected or merged",
    EventKind.SOURCE_ASKED_TO_SEND: "asked for from a source",
    EventKind.STUDY_COMPLETE: "complete",
    EventKind.STUDY_INELIGIBLE: "decision: not analysed",
    EventKind.PRIORS_SETTLED: "prior exams settled",
    EventKind.JOB_SUBMITTED: "decision: to be analysed",
    EventKind.JOB_STARTED: "claimed by a worker",
    EventKind.JOB_FAILED: "analysis failed",
    EventKind.JOB_SUPERSEDED: "job superseded",
    EventKind.JOB_SUCCEEDED: "analysed, results handed to delivery",
    EventKind.RESULT_WRITTEN: "result written",
    EventKind.RESULT_NOT_WRITTEN: "result could not be written",
    EventKind.RESULT_STORED: "delivered",
    EventKind.RESULT_WARNED_OF: "delivered with a warning",
    EventKind.RESULT_FAILED: "delivery failed",
    EventKind.RESULT_COMMITTED: "commitment given",
    EventKind.RESULT_NOT_COMMITTED: "commitment refused",
    EventKind.DELIVERY_ABANDONED: "delivery given up",
    EventKind.DELIVERY_REPLACED: "delivered otherwise",
    EventKind.RETRY_REQUESTED: "retry requested",
    EventKind.STUDY_RETIRED: "files removed",
    EventKind.NEWER_TAKEN: "newer images taken",
    EventKind.NEWER_LEFT: "first images kept",
    EventKind.RESULT_WITHHELD: "result withheld",
    EventKind.RESEND_REQUESTED: "resend requested",
    EventKind.STUDY_HELD: "study held",
    EventKind.STUDY_SET_ASIDE: "study set aside",
    EventKind.STUDY_RELEASED: "study released",
    EventKind.STUDY_BACKED_UP: "study backed up",
    EventKind.IDENTITY_SHOWN: "identity shown",
    EventKind.ACT_REFUSED: "act refused",
}
"""The name of a step by the kind of its event."""
OF_NO_STUDY = frozenset(
    {
        EventKind.PROCESS_STARTED,
        EventKind.PROCESS_STOPPED,
        EventKind.SETTINGS_CHANGED,
        EventKind.SETTINGS_REFUSED,
        EventKind.ASSOCIATION_REJECTED,
        EventKind.ASSOCIATION_ABORTED,
        EventKind.INSTANCE_REFUSED,
        EventKind.MESSAGE_REFUSED,
        EventKind.ORDER_GIVEN_UP,
        EventKind.COMMITMENT_REPORTED,
        EventKind.COMMITMENT_ABANDONED,
        EventKind.CONFLICT_RETIRED,
        EventKind.ALERT_BEGINS,
        EventKind.ALERT_OVER,
        EventKind.SIGNED_IN,
        EventKind.SIGNED_OUT,
        EventKind.SIGN_IN_REFUSED,
        EventKind.SIGN_IN_LIMITED,
        EventKind.ACCOUNT_SET,
        EventKind.ACCOUNT_REMOVED,
        EventKind.DESTINATION_ASKED,
        EventKind.SOURCE_QUERIED,
        EventKind.SEND_REQUESTED,
    }
)
"""Kinds of events that are recorded for the node and not for a study, so that no timeline has them."""

_ENDS_OF_STAGES = (EventKind.RESULT_WRITTEN, EventKind.JOB_SUCCEEDED)
HIDDEN_DETAILS = ("job_id", "mean_scores", "study_scores", "sop_class_uid", "patient_mismatch", "owner", "byte_count")


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
        if kind == EventKind.INSTANCE_STORED:
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
    return Step(NAMES.get(event["event"], event["event"]), event["at"], None, "; ".join(said), failed)


def _is_shown(name: str, value: object) -> bool:
    return name not in HIDDEN_DETAILS and value not in ("", None, [], {})
