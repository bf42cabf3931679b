"""Attributes of result objects for which highdicom has no class: patient, study, series, equipment and instance."""

from collections.abc import Iterable, Sequence

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results.common_attributes import contributing_equipment
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.prior_exams import Priors, comparison_digest, prior_images


def new_object(
    header: Dataset,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    *,
    sop_class_uid: str,
    modality: str,
    role: str,
    source_uids: list[str],
    series_number: int,
    subject: str,
) -> hd.SOPClass:
    """Return a new result in the study of its source and in a series of its own.

    The caller adds the content and then calls `common_attributes.finish`.

    Args:
        header: The header of a source image, from `source_header`.
        algorithm: The algorithm that found the findings.
        identity: The device that writes the result.
        sop_class_uid: The SOP class of the result.
        modality: The Modality of the series.
        role: A name that distinguishes results of the same sources; the UIDs are derived from it.
        source_uids: SOP Instance UIDs of the sources; the UIDs of the result are derived from them.
        series_number: The Series Number.
        subject: The content of the result in words, for the Series Description.
    """
    result = hd.SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=identity.derived_uid(f"{role} series", source_uids, algorithm),
        series_number=series_number,
        sop_instance_uid=identity.derived_uid(role, source_uids, algorithm),
        sop_class_uid=sop_class_uid,
        instance_number=1,
        modality=modality,
        manufacturer=identity.manufacturer,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        referring_physician_name=header.ReferringPhysicianName,
        manufacturer_model_name=identity.manufacturer_model_name,
        software_versions=identity.software_version,
        device_serial_number=identity.device_serial_number,
        institution_name=identity.institution_name or None,
        series_description=identity.described(subject, algorithm),
    )
    result.copy_patient_and_study_information(header)
    result.ContributingEquipmentSequence = [contributing_equipment(algorithm, identity)]
    return result


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
    priors: Priors = (),
) -> Dataset:
    """Return a complete, unverified and preliminary document on the study of `evidence`.

    The caller then calls `common_attributes.finish`.

    Args:
        content: The root of the content tree.
        evidence: The objects that the document refers to; the first is the header of a source image. The UIDs are
            derived from them.
        algorithm: The algorithm that the report describes.
        identity: The device that writes the report.
        sop_class_uid: The SOP class of the report.
        role: A name that distinguishes reports on the same evidence; the UIDs are derived from it.
        series_number: The Series Number.
        subject: The content of the report in words, for the Series Description.
        priors: The prior exams that the document refers to.
    """
    report = new_object(
        evidence[0],
        algorithm,
        identity,
        sop_class_uid=sop_class_uid,
        modality="SR",
        role=role,
        source_uids=[*(one.SOPInstanceUID for one in evidence), *comparison_digest(priors)],
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
    if priors:
        report.PertinentOtherEvidenceSequence = [hierarchical_reference(prior_images([one])) for one in priors]
    report.update(content)
    return report


def hierarchical_reference(objects: Iterable[Dataset]) -> Dataset:
    """Return references to objects of one study, grouped by series (PS3.3 Table C.17-3b)."""
    study = Dataset()
    series: dict[str, list[Dataset]] = {}
    for one in objects:
        study.StudyInstanceUID = one.StudyInstanceUID
        series.setdefault(str(one.SeriesInstanceUID), []).append(reference(one))
    study.ReferencedSeriesSequence = []
    for uid, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = references
        study.ReferencedSeriesSequence.append(item)
    return study


def reference(dataset: Dataset) -> Dataset:
    """Return a reference to an object as an item of a sequence (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    return item
