"""The report that a study was not analysed, or that its analysis failed, with the reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_structured_report
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import with_comments
from glam_node.node.results.measurement_report import report_root
from glam_node.node.results.sources import refuse_different_people, source_header
from glam_node.result_kinds import NOT_ANALYSED_REPORT


@dataclass(frozen=True, slots=True)
class Notice:
    """The reason why a study has no results."""

    attempted: bool
    """True if the analysis failed permanently, False if a rule excluded the study."""
    reason: str
    """The rule and its facts, or the failure, in plain words."""

    @property
    def sentence(self) -> str:
        """Sentence that states whether the analysis failed or was not attempted, with the reason."""
        what = "The analysis of this study failed" if self.attempted else "This study was not analysed"
        return f"{what}: {self.reason}"


def write_not_analysed_report(
    notice: Notice, sources: Sequence[Dataset], algorithm: AlgorithmIdentification, identity: ResultIdentity
) -> Dataset:
    """Return a Comprehensive 3D SR (TID 1500) that states why a study has no results, in a series of its own.

    Summary of Detections (PS3.16 CID 6042) is Not Attempted or Failed, and a comment gives the reason. The UIDs depend
    on the reason and the images only.

    Args:
        notice: The reason.
        sources: The images of the study, at least one.
        algorithm: The algorithm that would have analysed them.
        identity: The device that writes the report.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it, or the sources belong to two people.
    """
    refuse_different_people(sources)
    headers = [source_header(source) for source in sources]
    reason = hashlib.sha256(notice.sentence.encode()).hexdigest()[:16]
    outcome = codes.FAILED if notice.attempted else codes.NOT_ATTEMPTED
    role = f"not analysed {reason}"
    uid = identity.derived_uid(f"{role} study", [header.SOPInstanceUID for header in headers], algorithm)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid, "Study"),
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.SUMMARY_OF_DETECTIONS, outcome)],
        source_images=[sr.SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in headers],
    )
    report = new_structured_report(
        report_root([with_comments(group, [notice.sentence, identity.statement(algorithm)])], [], algorithm, identity),
        headers,
        algorithm,
        identity,
        sop_class_uid=Comprehensive3DSRStorage,
        role=role,
        series_number=identity.series_number_of(NOT_ANALYSED_REPORT),
        subject="not analysed",
    )
    finish(report, sources, identity)
    return report
