"""What predictors have found, where the storage root keeps it."""

from collections.abc import Iterable
from pathlib import Path

from glam_node.inference.findings import Findings
from glam_node.inference.findings_file import read_findings
from glam_node.node.domain.job import InferenceJob, JobState


def findings_path(root: Path, job_id: str) -> Path:
    """Where the findings of a job are."""
    return root / "findings" / f"{job_id}.npz"


def newest_analysis(newest_first: Iterable[InferenceJob]) -> InferenceJob | None:
    """The newest job that has analysed something; None when none has."""
    return next((job for job in newest_first if job.state is JobState.SUCCEEDED and not job.is_notice), None)


def latest_findings(root: Path, newest_first: Iterable[InferenceJob]) -> Findings | None:
    """The findings of the newest job that succeeded; None when none did or its file is gone.

    Raises InferenceError when the file is damaged.
    """
    succeeded = newest_analysis(newest_first)
    if succeeded is None:
        return None
    try:
        return read_findings(findings_path(root, succeeded.job_id))
    except FileNotFoundError:
        return None
