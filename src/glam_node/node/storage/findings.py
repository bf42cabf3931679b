"""Findings files in the storage root."""

from collections.abc import Iterable
from pathlib import Path

from glam_node.inference.findings import Findings
from glam_node.inference.findings_file import read_findings
from glam_node.node.domain.job import InferenceJob, JobState


def findings_path(root: Path, job_id: str) -> Path:
    """Return the path of the findings file of a job."""
    return root / "findings" / f"{job_id}.npz"


def newest_analysis(newest_first: Iterable[InferenceJob]) -> InferenceJob | None:
    """Return the newest job that succeeded and is not a notice, or None."""
    return next((job for job in newest_first if job.state is JobState.SUCCEEDED and not job.is_notice), None)


def latest_findings(root: Path, newest_first: Iterable[InferenceJob]) -> Findings | None:
    """Return the findings of the newest analysis, or None if there is none or its file was removed.

    Raises:
        InferenceError: The file is damaged.
    """
    succeeded = newest_analysis(newest_first)
    if succeeded is None:
        return None
    try:
        return read_findings(findings_path(root, succeeded.job_id))
    except FileNotFoundError:
        return None
