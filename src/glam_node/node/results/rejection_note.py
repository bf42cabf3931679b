"""The rejection note by which a system withdraws its objects from an archive (IHE RAD-66, PS3.16 TID 2010)."""

from collections.abc import Sequence

from highdicom import ko
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import contributing_equipment, finish
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_report import device_context
from glam_node.result_kinds import KEY_OBJECT_SELECTION


def write_rejection_note(
    objects: Sequence[Dataset], algorithm: AlgorithmIdentification, identity: ResultIdentity, reason: str
) -> Dataset:
    """Return a Key Object Selection that states that objects are no longer needed, so that the archive removes them.

    Args:
        objects: Objects of one study, at least one, of which pixels are not read.
        algorithm: The algorithm that made them.
        identity: The device that writes the note.
        reason: The reason in words.
    """
    content = ko.KeyObjectSelection(
        document_title=codes.RETENTION_EXPIRED,
        referenced_objects=objects,
        observer_device_context=device_context(algorithm, identity),
        description=reason,
    )
    note = ko.KeyObjectSelectionDocument(
        evidence=objects,
        content=content,
        series_instance_uid=generate_uid(None),
        series_number=identity.series_number_of(KEY_OBJECT_SELECTION),
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        manufacturer=identity.manufacturer,
        institution_name=identity.institution_name or None,
        series_description="Rejection note",
        manufacturer_model_name=identity.manufacturer_model_name,
        software_versions=identity.software_version,
        device_serial_number=identity.device_serial_number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    note.copy_patient_and_study_information(objects[0])
    for item in note.ContentSequence:
        if "ReferencedSOPSequence" in item:  # TID 2010 rows 8 and 10 forbid the name that highdicom gives references
            del item.ConceptNameCodeSequence
            item.ValueType = "COMPOSITE"
    finish(note, objects, identity)
    return note
