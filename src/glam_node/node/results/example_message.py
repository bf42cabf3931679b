"""An example of what a message states, with made-up values, to check and show templates without a study."""

import numpy as np
from pydicom.dataset import Dataset

from glam_node.inference.findings import AlgorithmIdentification, Finding, FindingKind, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.results.not_analysed_report import Notice
from glam_node.node.results.result_message import MessageContent, ReferencedObject

_STUDY_UID = "2.25.1"
_ALGORITHM = AlgorithmIdentification(
    "GLAM",
    "1",
    "0" * 64,
    trained=True,
    parameters=(("benign.image_score_threshold", "0.4"), ("malignant.image_score_threshold", "0.3")),
)


def example_contents() -> tuple[MessageContent, MessageContent]:
    """Return an example of an analysed study, one view of which failed, and of a study that was not analysed."""
    finding = Finding(FindingKind.MALIGNANT, 0.8, (10, 10), np.ones((4, 4), dtype=np.bool_))
    images = (
        _image(Laterality.RIGHT, ViewPosition.CC, 0.1),
        _image(Laterality.LEFT, ViewPosition.CC, 0.8, finding),
        _image(Laterality.RIGHT, ViewPosition.MLO, 0.2),
        ImageFindings(
            "2.25.8", Laterality.LEFT, ViewPosition.MLO, (100, 80), None, None, failure="no breast was found"
        ),
    )
    objects = tuple(
        ReferencedObject(kind, shown, _STUDY_UID, f"2.25.{number}", f"2.25.{number}1")
        for number, (kind, shown) in enumerate((("segmentation", "SEG"), ("measurement_report", "SR")), start=2)
    )
    analysed = Findings(_STUDY_UID, _ALGORITHM, images)
    notice = Notice(attempted=False, reason="rule no_standard_view: no image can be analysed")
    return (
        MessageContent(analysed, (example_source(),), objects),
        MessageContent(Findings(_STUDY_UID, _ALGORITHM, ()), (example_source(),), notice=notice),
    )


def example_source() -> Dataset:
    """Return the header of an image of a made-up patient."""
    source = Dataset()
    source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID = _STUDY_UID, "2.25.4", "2.25.5"
    source.PatientID, source.IssuerOfPatientID = "EXAMPLE-1", "HOSPITAL"
    source.PatientName, source.PatientBirthDate, source.PatientSex = "Example^Anna", "19600131", "F"
    source.AccessionNumber, source.StudyDescription = "ACCESSION1", "Screening mammography"
    source.StudyDate, source.StudyTime = "20260131", "101500"
    return source


def _image(side: Laterality, view: ViewPosition, score: float, *findings: Finding) -> ImageFindings:
    uid = f"2.25.1{len(side)}{ord(side[0])}{ord(view[0])}"
    return ImageFindings(uid, side, view, (100, 80), score / 2, score, findings)
