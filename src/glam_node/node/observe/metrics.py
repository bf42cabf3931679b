"""Declarations of all metrics: names, meanings and labels. The console measures their values on request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One gauge."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


STUDIES = Metric("glam_node_studies", "Studies on record.", ("state",))
JOBS = Metric("glam_node_jobs", "Inference jobs on record.", ("state",))
DELIVERIES = Metric("glam_node_deliveries", "Results for destinations.", ("destination", "state"))
OLDEST_JOB = Metric("glam_node_oldest_unfinished_job_seconds", "Age of the job that waits or runs longest; 0: none.")
OLDEST_DELIVERY = Metric(
    "glam_node_oldest_pending_delivery_seconds",
    "Age of the result that waits longest for its destination; 0: none.",
    ("destination",),
)
LAST_IMAGE = Metric("glam_node_last_image_seconds", "Since something was received last; -1: never.")
FREE_BYTES = Metric("glam_node_storage_free_bytes", "Free on the storage root's file system.")
LEAST_FREE_BYTES = Metric("glam_node_storage_minimum_free_bytes", "Under this C-STORE is answered 0xA700.")
RUNNING_JOBS = Metric("glam_node_running_jobs", "Jobs that a worker holds at this moment.")
RECENT_ANALYSES, LEAST_ANALYSES = 100, 20
"""Maximum and minimum number of analyses used for the mean of recent scores."""
MEAN_SCORE = Metric(
    "glam_node_recent_mean_score",
    f"Mean score of the images of the last {RECENT_ANALYSES} analyses by the present algorithm; none under "
    f"{LEAST_ANALYSES}.",
    ("kind",),
)
REFERENCE_SCORE = Metric(
    "glam_node_reference_mean_score",
    "Mean score of the images that the present package was measured on; none where the package does not say.",
    ("kind",),
)
IN_DOUBT = Metric(
    "glam_node_studies_in_doubt",
    "Studies whose images need a person: two_patients, two_studies, or sent again with another patient, study, view or "
    "only other bytes (content).",
    ("doubt",),
)
EVENTS = Metric("glam_node_events", "Events of the kind on record.", ("event",))

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
    EVENTS,
)

COUNTED_EVENTS = (
    "association_rejected",
    "association_aborted",
    "instance_refused",
    "job_failed",
    "result_not_written",
    "result_warned_of",
    "delivery_abandoned",
    "study_retired",
)
"""Events that are counted in EVENTS."""
