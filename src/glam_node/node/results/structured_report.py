"""What every structured report of ours is beside its content: General SR Document (PS3.3 C.17.2) and the composite."""

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
    """A complete, unverified and preliminary document of the study of `evidence`; `equipment.finish` must follow.

    `content` is the root of its tree; the first of `evidence` is a source header. UIDs follow from `evidence` and
    `role`; `subject` goes into the Series Description.
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
