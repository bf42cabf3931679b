"""The silences, spoken: a report that a study was not analysed, or that its analysis failed, and why."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results import codes
from glam_node.node.results.equipment import finish
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import with_comments
from glam_node.node.results.measurement_report import grouped
from glam_node.node.results.sources import refuse_different_people, source_header
from glam_node.node.results.structured_report import new_structured_report


@dataclass(frozen=True, slots=True)
class Notice:
    """Why a study has no results."""

    attempted: bool
    """True: its analysis failed for good; False: a rule left it out."""
    reason: str
    """The rule with the facts, or what failed, in plain words."""

    @property
    def sentence(self) -> str:
        """What the report says."""
        what = "The analysis of this study failed" if self.attempted else "This study was not analysed"
        return f"{what}: {self.reason}"


def write_not_analysed_report(
    notice: Notice, sources: Sequence[Dataset], algorithm: AlgorithmIdentification, identity: ResultIdentity
) -> Dataset:
    """A Comprehensive 3D SR after TID 1500 that says so, in a series of its own, of at least one source image.

    Summary of Detections (PS3.16 CID 6042) is Not Attempted or Failed, a comment gives the reason. The same reason
    for the same images has the same UID. Raises PermanentError when a source cannot be referred to, or the sources are
    of two people.
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
        grouped([with_comments(group, [notice.sentence, identity.statement(algorithm)])], [], algorithm, identity),
        headers,
        algorithm,
        identity,
        sop_class_uid=Comprehensive3DSRStorage,
        role=role,
        series_number=identity.not_analysed_report_series_number,
        subject="not analysed",
    )
    finish(report, sources, identity)
    return report
