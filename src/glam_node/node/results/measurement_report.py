"""The report: a Comprehensive 3D SR after PS3.16 TID 1500 with scores, findings, and what could not be analysed."""

from collections.abc import Mapping, Sequence

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.node.results import codes
from glam_node.node.results.equipment import contributing_equipment, finish
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import Group, measurement_groups
from glam_node.node.results.sources import source_header

# What TID 1602 and 1603 tell of an image in the library; the groups of measurements refer to every image in any case.
_DESCRIBED = {"Rows", "Columns", "PatientOrientation", "ImagerPixelSpacing"}


def write_measurement_report(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],
    identity: ResultIdentity,
    *,
    others: Sequence[Dataset] = (),
    comprehensive: bool = False,
) -> Dataset:
    """The report on a study, with at least one image, in a series of its own.

    It has a group of measurements for the study, each breast, each image and each finding; an image without findings
    and an image that could not be analysed say so, the latter with the reason. `segmentations` are what
    `write_segmentations` wrote; findings refer to their segments there. The report lists them, every image and the
    `others`, the rest of the run, as evidence. `comprehensive`: the same as a Comprehensive SR, an object of its own,
    for archives that take no Comprehensive 3D SR. `sources` maps SOP Instance UID to source data set. Raises
    PermanentError when a source cannot be referred to.
    """
    headers = {image.sop_instance_uid: source_header(sources[image.sop_instance_uid]) for image in findings.images}
    first = sources[findings.images[0].sop_instance_uid]
    groups = list(measurement_groups(findings, headers, segmentations, identity))
    described = [header for header in headers.values() if set(header.dir()) >= _DESCRIBED]
    report = new_report(
        groups,
        described,
        evidence=[*headers.values(), *segmentations, *others],
        role="comprehensive report" if comprehensive else "report",
        subject="report",
        series_number=identity.comprehensive_sr_series_number if comprehensive else identity.series_number,
        document=sr.ComprehensiveSR if comprehensive else sr.Comprehensive3DSR,
        algorithm=findings.algorithm,
        identity=identity,
    )
    report.CodingSchemeIdentificationSequence = [_private_scheme(identity)]
    finish(report, first, identity)
    return report


def new_report(
    groups: Sequence[Group],
    described: Sequence[Dataset],
    *,
    evidence: Sequence[Dataset],
    role: str,
    subject: str,
    series_number: int,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    document: type[sr.Comprehensive3DSR | sr.ComprehensiveSR] = sr.Comprehensive3DSR,
) -> Dataset:
    """A structured report after TID 1500 with these groups of measurements; `equipment.finish` must follow.

    UIDs follow from `evidence` and `role`; `subject` goes into the Series Description.
    """
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device_context(algorithm, identity)),
        procedure_reported=codes.IMAGING_PROCEDURE,
        imaging_measurements=list(groups),
        title=codes.IMAGING_MEASUREMENT_REPORT,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            sr.CodedConcept.from_code(codes.ENGLISH)
        ),
        referenced_images=list(described) or None,
    )
    made_of = [one.SOPInstanceUID for one in evidence]
    report: Dataset = document(
        evidence=list(evidence),
        content=content,
        series_instance_uid=identity.derived_uid(f"{role} series", made_of, algorithm),
        series_number=series_number,
        sop_instance_uid=identity.derived_uid(role, made_of, algorithm),
        instance_number=1,
        manufacturer=identity.manufacturer,
        is_complete=True,
        institution_name=identity.institution_name or None,
        series_description=identity.described(subject, algorithm),
        manufacturer_model_name=identity.manufacturer_model_name,
        software_versions=identity.software_version,
        device_serial_number=identity.device_serial_number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    report.CompletionFlagDescription = identity.short_statement(algorithm)
    return report


def _private_scheme(identity: ResultIdentity) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    item.CodingSchemeName = codes.PRIVATE_SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = identity.manufacturer
    return item


def device_context(algorithm: AlgorithmIdentification, identity: ResultIdentity) -> sr.ObserverContext:
    """This device as the observer (PS3.16 TID 1004)."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=identity.device_uid,
        name=f"{algorithm.algorithm_name} {algorithm.algorithm_version}: {identity.short_statement(algorithm)}",
        manufacturer_name=identity.manufacturer,
        model_name=identity.manufacturer_model_name,
        serial_number=identity.device_serial_number,
        physical_location=identity.institution_name or None,
    )
    return sr.ObserverContext(
        observer_type=sr.CodedConcept.from_code(codes.DEVICE_OBSERVER), observer_identifying_attributes=device
    )
