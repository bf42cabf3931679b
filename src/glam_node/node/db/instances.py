"""Conversion of instance rows, and comparison of an instance with the patient of its study."""

from dataclasses import replace
from typing import Any

from glam_node.node.db.tables import InstanceRow
from glam_node.node.domain.identity import identity_from_json
from glam_node.node.domain.instance import ImageAttributes, SOPInstance, StudyAttributes


def as_instance(row: InstanceRow) -> SOPInstance:
    """Return the instance that the row describes."""
    stated: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.attributes.items()
    }
    return SOPInstance(
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        path=row.path,
        blake3=row.blake3,
        sha256=row.sha256,
        byte_count=row.byte_count,
        calling_ae_title=row.calling_ae_title,
        received_at=row.received_at,
        attributes=ImageAttributes(**stated),
        identity=None if row.identity is None else identity_from_json(row.identity),
    )


def with_patient(
    known: tuple[str, str], stated: StudyAttributes, instance: SOPInstance
) -> tuple[tuple[str, str], SOPInstance]:
    """Compare the patient that an instance states with the patient of its study.

    Args:
        known: Issuer and Patient ID of the study; the Patient ID is empty if no instance has stated one yet.
        stated: Study-level attributes of the instance.
        instance: The instance.

    Returns:
        Issuer and Patient ID of the study, and the instance, marked `patient_mismatch` if it states another patient.
    """
    if not known[1]:
        return (stated.issuer_of_patient_id, stated.patient_id), instance
    is_another = stated.patient_id not in ("", known[1])
    issuers = {known[0], stated.issuer_of_patient_id} - {""}
    if not is_another and (not stated.patient_id or len(issuers) < 2):
        return known, instance
    return known, replace(instance, attributes=replace(instance.attributes, patient_mismatch=True))
