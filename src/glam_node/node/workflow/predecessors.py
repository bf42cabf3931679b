"""Which reports of earlier runs the reports of a run follow."""

from collections.abc import Mapping
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.node.results import kinds
from glam_node.node.results.composite import hierarchical_reference
from glam_node.node.results.identity import ResultIdentity

_READ = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "ContentDate", "ContentTime"]


def latest_reports(results: Path, identity: ResultIdentity) -> dict[str, Dataset]:
    """By kind, what names the latest report in the directory that was made before `identity.created_at`."""
    latest: dict[str, tuple[str, Dataset]] = {}
    for path in sorted(results.glob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_READ)
        made_at = f"{header.ContentDate}{header.ContentTime}"
        for kind in kinds.REPORTS:
            known = latest.get(kind, ("", None))[0]
            if header.SOPClassUID == kinds.SOP_CLASSES[kind] and known < made_at < identity.date + identity.time:
                latest[kind] = (made_at, header)
    return {kind: header for kind, (_, header) in latest.items()}


def name_predecessor(kind: str, report: Dataset, predecessors: Mapping[str, Dataset]) -> None:
    """A report says which report it follows, where there is one (PS3.3 C.17.2); nothing else has a place for that."""
    if kind in predecessors:
        report.PredecessorDocumentsSequence = [hierarchical_reference([predecessors[kind]])]
