"""Inference jobs with their state, priority and routing, and the policy for repeated attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from glam_node.node.domain.prior_comparison import PriorExam


class Priority(IntEnum):
    """Priority of a job; the lowest number is done first."""

    URGENT = 0
    """Studies that a person waits for."""
    SCREENING = 1
    """Ordinary screening studies."""
    BACKFILL = 2
    """Earlier studies, analysed when no other job waits."""


class JobState(StrEnum):
    """State of a job."""

    PENDING = "PENDING"
    """The job waits for a worker or for `next_attempt_at`."""
    RUNNING = "RUNNING"
    """A worker holds the job until `lease_expires_at`."""
    SUCCEEDED = "SUCCEEDED"
    """Findings and results are on disk, and delivery rows exist."""
    FAILED = "FAILED"
    """The job was given up; `failure` says why. A person has to act (`glam-node study retry`)."""
    SUPERSEDED = "SUPERSEDED"
    """The job is out of date: its study got more or newer images, or was set aside."""


class FailureKind(StrEnum):
    """Kind of a job's failure, which decides whether and when there is another attempt; `failure` is for people."""

    NONE = ""
    PERMANENT = "permanent"
    """Another attempt cannot help."""
    OUT_OF_MEMORY = "out_of_memory"
    """Memory was too short; one more attempt, in a fresh worker process, may help."""
    DISK_FULL = "disk_full"
    """A disk or quota is full; attempts go on until space is freed."""
    STORAGE_UNREACHABLE = "storage_unreachable"
    """A file could not be reached, for example because a share or disk is not mounted; attempts go on for a day."""
    WORKER_DIED = "worker_died"
    """The worker processes that ran the job died, so that no error is known."""
    RESULT_NOT_WRITTEN = "result_not_written"
    """The job succeeded, but some of its results could not be written."""
    OTHER = "other"
    """Another attempt may help."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Routing of a job's results, fixed when the job was created; a rule about results may change it afterwards."""

    rule: str = ""
    """Title of the site's rule that decided, such as rules.NAME; empty if no rule applied."""
    shadow: bool = False
    """True if results are kept and not sent."""
    destinations: tuple[str, ...] | None = None
    """Names of the destinations; None for all."""
    results: tuple[str, ...] | None = None
    """Kinds of results, of those that a destination asks for; None for all."""
    priority: Priority | None = None
    """Priority of the results, as a rule about results chooses it; None for that of the job."""

    @property
    def is_for_nobody(self) -> bool:
        """Whether the results are only kept, such as those of a prior exam; no rule of a site can say so."""
        return self.destinations == ()

    def same_way(self, other: "Routing") -> bool:
        """Return whether results go to the same destinations, regardless of the rule that decided."""
        return (self.shadow, self.destinations) == (other.shadow, other.destinations)


@dataclass(frozen=True, slots=True)
class WrittenKinds:
    """Kinds of results that a job wrote for one destination."""

    settings_digest: str
    """Digest of what they were made with, which includes the presentation that the destination asks for."""
    kinds: tuple[str, ...]
    """All kinds that the destination asked for, even those that made no object or could not be written."""


@dataclass(frozen=True, slots=True)
class InferenceJob:
    """One run of the predictor over one state of one study."""

    job_id: str
    study_instance_uid: str
    state: JobState
    attempt: int
    """Number of times a worker has claimed the job."""
    sop_instance_uids: tuple[str, ...]
    """Images to analyse, fixed when the job was created; empty for a notice."""
    priority: Priority
    settings_digest: str
    algorithm_version: str
    """Version of the algorithm that ran the job; empty before it succeeded."""
    lease_owner: str
    lease_expires_at: datetime | None
    next_attempt_at: datetime
    failure: str
    """Explanation of the last failure for people; empty without one."""
    failure_kind: FailureKind
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stage_seconds: tuple[tuple[str, float], ...] = ()
    """Name and duration in seconds of each stage of the run that succeeded."""
    routing: Routing = field(default_factory=Routing)
    written_for: Mapping[str, WrittenKinds] | None = None
    """Kinds that were written, by destination; None before the job succeeded, or if an older version ran it."""
    submitted_routing: Routing | None = None
    """Routing with which the job was created, if a rule about results has changed it since."""

    waits_until: datetime | None = None
    """Time at which the job starts at the latest, while it waits for prior exams; None if it does not wait."""
    priors: tuple[PriorExam, ...] | None = None
    """Prior exams that the findings were compared with; None before the comparison."""

    @property
    def has_results(self) -> bool:
        """Whether the job succeeded once, even if it runs again to write more of its results."""
        return self.algorithm_version != ""

    @property
    def is_notice(self) -> bool:
        """Whether the job analyses no images and only reports why."""
        return not self.sop_instance_uids


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a maximum delay and a maximum number of attempts."""

    initial_delay_s: float
    multiplier: float
    maximum_delay_s: float
    maximum_attempts: int

    def next_attempt_at(self, attempt: int, now: datetime) -> datetime | None:
        """Return the time of the next attempt after `attempt` (1, 2, ...) attempts; None to give up."""
        if attempt >= self.maximum_attempts:
            return None
        return now + self.delay(attempt)

    def delay(self, attempt: int) -> timedelta:
        """Return the delay after `attempt` (1, 2, ...) attempts, even beyond the maximum number of attempts."""
        exponent = min(attempt - 1, 64)
        return timedelta(seconds=min(self.initial_delay_s * self.multiplier**exponent, self.maximum_delay_s))
