"""The attributes of every structured report apart from its content tree (PS3.3 C.17.2)."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results.composite import hierarchical_reference, new_object
from glam_node.node.results.identity import ResultIdentity


def new_structured_report(
    content: Dataset,
    evidence: Sequence[Dataset],
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    *,
    sop_class_uid: str,
    role: str,
    series_number: int,
    subject: str,
) -> Dataset:
    """Return a complete, unverified and preliminary document on the study of `evidence`.

    The caller then calls `equipment.finish`.

    Args:
        content: The root of the content tree.
        evidence: The objects that the document refers to; the first is the header of a source image. The UIDs are
            derived from them.
        algorithm: The algorithm that the report describes.
        identity: The device that writes the report.
        sop_class_uid: The SOP class of the report.
        role: A name that tells the reports on the same evidence apart; the UIDs are derived from it.
        series_number: The Series Number.
        subject: The content of the report in words, for the Series Description.
    """
    report = new_object(
        evidence[0],
        algorithm,
        identity,
        sop_class_uid=sop_class_uid,
        modality="SR",
        role=role,
        made_of=[one.SOPInstanceUID for one in evidence],
        series_number=series_number,
        subject=subject,
    )
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.CompletionFlag = "COMPLETE"
    report.CompletionFlagDescription = identity.short_statement(algorithm)
    report.VerificationFlag = "UNVERIFIED"
    report.PreliminaryFlag = "PRELIMINARY"
    report.CurrentRequestedProcedureEvidenceSequence = [hierarchical_reference(evidence)]
    report.update(content)
    return report
