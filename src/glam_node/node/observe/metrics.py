"""Declarations of all metrics: names, meanings and labels. The console measures their values on request."""

from dataclasses import dataclass

from glam_node.node.domain.event import EventKind


@dataclass(frozen=True, slots=True)
class Metric:
    """One gauge."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


STUDIES = Metric("glam_node_studies", "Recorded studies.", ("state",))
JOBS = Metric("glam_node_jobs", "Recorded inference jobs.", ("state",))
DELIVERIES = Metric("glam_node_deliveries", "Results by destination and state.", ("destination", "state"))
OLDEST_JOB = Metric("glam_node_oldest_unfinished_job_seconds", "Age of the oldest unfinished job; 0 if there is none.")
OLDEST_DELIVERY = Metric(
    "glam_node_oldest_pending_delivery_seconds",
    "Age of the oldest result that waits for the destination; 0 if there is none.",
    ("destination",),
)
LAST_IMAGE = Metric("glam_node_last_image_seconds", "Seconds since the last instance was received; -1 if never.")
FREE_BYTES = Metric(
    "glam_node_storage_free_bytes", "Free bytes on the file system of storage.root; 0 while it is away."
)
LEAST_FREE_BYTES = Metric("glam_node_storage_minimum_free_bytes", "C-STORE is answered with 0xA700 below this.")
RUNNING_JOBS = Metric("glam_node_running_jobs", "Jobs that workers are running.")
RECENT_ANALYSES, LEAST_ANALYSES = 100, 20
"""Maximum and minimum number of analyses used for the mean of recent scores."""
MEAN_SCORE = Metric(
    "glam_node_recent_mean_score",
    f"Mean score of the images of the last {RECENT_ANALYSES} analyses by the current algorithm; absent below "
    f"{LEAST_ANALYSES} analyses.",
    ("kind",),
)
REFERENCE_SCORE = Metric(
    "glam_node_reference_mean_score",
    "Mean score of the images that the current package was measured on; absent if the package has none.",
    ("kind",),
)
IN_DOUBT = Metric(
    "glam_node_studies_in_doubt",
    "Studies whose images need a decision: two_patients, two_studies, or images sent again with another patient, "
    "study, view or only other bytes (content).",
    ("doubt",),
)
CANARY_PASSED = Metric(
    "glam_node_canary_last_success_seconds",
    "Seconds since the last canary passed; -1 if none has, or if canary.every is 0.",
)
CANARY_DURATION = Metric(
    "glam_node_canary_duration_seconds",
    "Seconds from the last C-STORE to the last result of the last canary that passed; absent if none has.",
)
CANARIES = Metric("glam_node_canaries", "Canaries with a verdict, of the last 90 days.", ("verdict",))
PRIOR_SEARCHES = Metric(
    "glam_node_prior_searches",
    "Studies of the last day that wait for prior exams (open), got them in time (done), or too late (expired).",
    ("state",),
)
EVENTS = Metric("glam_node_events", "Recorded events by kind.", ("event",))

METRICS = (
    STUDIES,
    JOBS,
    DELIVERIES,
    OLDEST_JOB,
    OLDEST_DELIVERY,
    LAST_IMAGE,
    FREE_BYTES,
    LEAST_FREE_BYTES,
    RUNNING_JOBS,
    MEAN_SCORE,
    REFERENCE_SCORE,
    IN_DOUBT,
    CANARY_PASSED,
    CANARY_DURATION,
    CANARIES,
    PRIOR_SEARCHES,
    EVENTS,
)

COUNTED_EVENTS = (
    EventKind.ASSOCIATION_REJECTED,
    EventKind.ASSOCIATION_ABORTED,
    EventKind.INSTANCE_REFUSED,
    EventKind.JOB_FAILED,
    EventKind.RESULT_NOT_WRITTEN,
    EventKind.RESULT_WARNED_OF,
    EventKind.DELIVERY_ABANDONED,
    EventKind.STUDY_RETIRED,
)
"""Events that are counted in EVENTS."""
