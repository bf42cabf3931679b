"""One inference job: the row that is the truth, whatever the broker says."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Priority(IntEnum):
    """Which of the waiting jobs is next; the least number first."""

    URGENT = 0
    """Somebody waits for it."""
    SCREENING = 1
    """Of the day."""
    BACKFILL = 2
    """Earlier examinations, when nothing else is to be done."""


class JobState(StrEnum):
    """Where a job is."""

    PENDING = "PENDING"
    """Waits for a worker (or for `next_attempt_at`)."""
    RUNNING = "RUNNING"
    """Leased by a worker until `lease_expires_at`."""
    SUCCEEDED = "SUCCEEDED"
    """Findings and results are on disk, delivery rows exist."""
    FAILED = "FAILED"
    """Given up; `failure` says why; a person acts (`glam-node retry`)."""
    SUPERSEDED = "SUPERSEDED"
    """The study got more images before this job ended, and a newer job does the work; or its images were replaced by
    newer versions; or it was set aside."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the results of a job go, as it was when the job was made."""

    rule: str = ""
    """The site's rule that says so, as in rules.NAME; empty: none does."""
    shadow: bool = False
    """Results are made and kept, and not sent."""
    destinations: tuple[str, ...] | None = None
    """By their names; None: all that there are."""

    def same_way(self, other: "Routing") -> bool:
        """Whether results take the same way, whatever rule says so."""
        return (self.shadow, self.destinations) == (other.shadow, other.destinations)


@dataclass(frozen=True, slots=True)
class InferenceJob:
    """One run of the predictor over one state of one study."""

    job_id: str
    study_instance_uid: str
    state: JobState
    attempt: int
    """How often it was claimed."""
    sop_instance_uids: tuple[str, ...]
    """The images to analyse, fixed when the job was made; none where there is only to be said that nothing is."""
    priority: Priority
    settings_digest: str
    algorithm_version: str
    """Empty until a worker has run it."""
    lease_owner: str
    lease_expires_at: datetime | None
    next_attempt_at: datetime
    failure: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stage_seconds: tuple[tuple[str, float], ...] = ()
    """Seconds per stage of the run that succeeded."""
    routing: Routing = field(default_factory=Routing)

    @property
    def is_notice(self) -> bool:
        """Whether it analyses nothing and writes down why."""
        return not self.sop_instance_uids
