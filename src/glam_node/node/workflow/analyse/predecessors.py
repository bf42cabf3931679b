"""References from a report to the report of an earlier job that it follows."""

from collections.abc import Container, Mapping
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from sqlalchemy.orm import Session

from glam_node import result_kinds
from glam_node.node.db import deliveries, jobs
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import InferenceJob
from glam_node.node.results.composite import hierarchical_reference

_REPORTS = frozenset(result_kinds.SOP_CLASSES[kind] for kind in result_kinds.REPORTS)
_READ = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]


def earlier_reports(session: Session, job: InferenceJob, destinations: Container[str]) -> dict[str, str]:
    """Return the latest reports that this job or an earlier one queued for the destinations.

    Returns:
        Path of the report's file, relative to the storage root, by SOP class.
    """
    uid = job.study_instance_uid
    made_at = {one.job_id: one.created_at for one in jobs.of_study(session, uid) if one.created_at <= job.created_at}
    queued = (
        one for one in deliveries.of_study(session, uid) if one.job_id in made_at and one.destination in destinations
    )
    # A destination does not know the results that were withheld from it.
    sent = (one for one in queued if one.state is not DeliveryState.WITHHELD)
    reports = [one for one in sent if one.sop_class_uid in _REPORTS]
    return {
        one.sop_class_uid: one.path
        for one in sorted(reports, key=lambda one: (made_at[one.job_id], one.created_at, one.path))
    }


def name_predecessor(result: Dataset, earlier: Mapping[str, Path]) -> None:
    """Add the reference to the earlier report of the same SOP class, where there is one (PS3.3 C.17.2).

    Other kinds of results have no earlier report. An earlier report whose file is missing or damaged is not named.

    Args:
        result: Data set of the new result.
        earlier: Files of earlier reports by SOP class.
    """
    path = earlier.get(result.SOPClassUID)
    if path is None or not path.exists():
        return
    try:
        predecessor = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_READ)
        named = hierarchical_reference([predecessor])
    except (InvalidDicomError, AttributeError, EOFError):
        return
    if predecessor.SOPInstanceUID != result.SOPInstanceUID:
        result.PredecessorDocumentsSequence = [named]
