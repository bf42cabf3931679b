"""The Key Object Selection of positive views and of the results written for them (PS3.3 A.35.4, PS3.16 TID 2010)."""

from collections.abc import Mapping, Sequence

from highdicom import ko
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.inference.findings import Findings
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import contributing_equipment, finish
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.measurement_report import device_context
from glam_node.node.results.sources import source_header
from glam_node.result_kinds import KEY_OBJECT_SELECTION, LABELMAP_SEGMENTATION, SOP_CLASSES


def write_key_object_selection(
    findings: Findings, sources: Mapping[str, Dataset], others: Sequence[Dataset], identity: ResultIdentity
) -> Dataset | None:
    """Return a selection of the views with findings and of other results, or None if no view has findings.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        others: The other results, of which only identifiers are read; the UID of the selection depends on them.
        identity: The device that writes the selection.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    positive = [image for image in findings.images if image.findings]
    if not positive:
        return None
    headers = [source_header(sources[image.sop_instance_uid]) for image in positive]
    objects = [*headers, *others]
    description = (
        f"Views with findings: {', '.join(map(view_name, positive))}. {identity.statement(findings.algorithm)}"
    )
    made_of = [str(item.SOPInstanceUID) for item in objects]
    content = ko.KeyObjectSelection(
        document_title=codes.OF_INTEREST,
        referenced_objects=objects,
        observer_device_context=device_context(findings.algorithm, identity),
        description=description,
    )
    selection = ko.KeyObjectSelectionDocument(
        evidence=objects,
        content=content,
        series_instance_uid=identity.derived_uid("key object selection series", made_of, findings.algorithm),
        series_number=identity.series_number_of(KEY_OBJECT_SELECTION),
        sop_instance_uid=identity.derived_uid("key object selection", made_of, findings.algorithm),
        instance_number=1,
        manufacturer=identity.manufacturer,
        institution_name=identity.institution_name or None,
        series_description=identity.described("key images", findings.algorithm),
        manufacturer_model_name=identity.manufacturer_model_name,
        software_versions=identity.software_version,
        device_serial_number=identity.device_serial_number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=[contributing_equipment(findings.algorithm, identity)],
    )
    selection.copy_patient_and_study_information(headers[0])
    for item in selection.ContentSequence:
        # highdicom names the references "Source", but TID 2010 rows 8 and 10 forbid a name: PixelMed reports an error.
        if "ReferencedSOPSequence" in item:
            del item.ConceptNameCodeSequence
            # DCMTK 3.6.7 does not know label maps as images and rejects the document. COMPOSITE allows any SOP class.
            if item.ReferencedSOPSequence[0].ReferencedSOPClassUID == SOP_CLASSES[LABELMAP_SEGMENTATION]:
                item.ValueType = "COMPOSITE"
    finish(selection, [sources[image.sop_instance_uid] for image in positive], identity)
    return selection
