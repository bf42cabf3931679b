"""Canaries: synthetic studies that the node sends to itself, which prove that the whole way of a study works."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

AE_TITLE = "GLAMCANARY"
"""The AE title with which the node sends a canary; only a pass code that the node knows admits it."""
PATIENT_ID = "CANARY"
CERTIFICATE_NAME = "canary of glam-node"
"""The common name of the certificate that the node presents to its own TLS port."""
FOLDER = "canary"
"""The directory in the storage root with the images that every canary is made of, and the certificate."""

Scores = Mapping[str, Mapping[str, float]]
"""Score of each class by view, such as "L CC"."""


class CanaryState(StrEnum):
    """State of a canary; the values are stored in the database and stay the same."""

    REQUESTED = "REQUESTED"
    """The dispatcher is to send the images, or to try again."""
    SENDING = "SENDING"
    """The images are being sent."""
    WAITING = "WAITING"
    """The node has the images; the results are awaited."""
    PASSED = "PASSED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    """The node stopped while it sent the images, so there is no verdict."""


UNFINISHED = (CanaryState.REQUESTED, CanaryState.SENDING, CanaryState.WAITING)
JUDGED = (CanaryState.PASSED, CanaryState.FAILED)


@dataclass(frozen=True, slots=True)
class Observation:
    """The analysis of a canary."""

    algorithm: str = ""
    """Name, version and weights of the algorithm; canaries are only compared if they are equal."""
    scores: Scores = field(default_factory=dict)
    lesions: tuple[str, ...] = ()
    """The planted lesions that were outlined where they are, as "L CC malignant"."""


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """One canary."""

    run_id: int
    study_instance_uid: str
    state: CanaryState
    scheduled: bool
    """False if a person asked for it."""
    requested_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None = None
    """The time of the last C-STORE."""
    finished_at: datetime | None = None
    failure: str = ""
    """The reason of the failure, or of another attempt to send, in words."""
    remark: str = ""
    """What else a person should know, such as objects that could not be withdrawn."""
    observation: Observation = Observation()
    stages: tuple[tuple[str, float], ...] = ()
    """Seconds of each stage."""
    present: bool = False
    """Whether the node may still have the study."""

    @property
    def seconds(self) -> float | None:
        """Seconds from the last C-STORE to the last stored result; None before it passed."""
        return dict(self.stages).get(WHOLE_TIME)


WHOLE_TIME = "last C-STORE to last result"


def deviations(seen: Observation, first: Observation | None, tolerance: float) -> Iterator[str]:
    """Yield the differences of an analysis from the first canary that passed with the same algorithm."""
    if first is None or first.algorithm != seen.algorithm:
        return
    for view, scores in sorted(first.scores.items()):
        for kind, before in sorted(scores.items()):
            now = seen.scores.get(view, {}).get(kind)
            if now is None:
                yield f"{view} has no {kind} score"
            elif abs(now - before) > tolerance:
                yield f"the {kind} score of {view} is {now:.3f}, and was {before:.3f}"
    for lesion in first.lesions:
        if lesion not in seen.lesions:
            yield f"the lesion {lesion} is no longer outlined"
