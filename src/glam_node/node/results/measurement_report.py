"""The report: a Comprehensive 3D SR after PS3.16 TID 1500 with scores, findings, and what could not be analysed."""

from collections.abc import Mapping, Sequence

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.node.results import codes
from glam_node.node.results.equipment import finish
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import Group, measurement_groups, with_comments
from glam_node.node.results.sources import source_header
from glam_node.node.results.structured_report import new_structured_report

# What TID 1602 and 1603 tell of an image in the library; the groups of measurements refer to every image in any case.
_DESCRIBED = {"Rows", "Columns", "PatientOrientation", "ImagerPixelSpacing"}


def report_content(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],
    identity: ResultIdentity,
    lacking: Sequence[str] = (),
) -> Dataset:
    """The root of the report on a study with at least one image.

    It has a group of measurements for the study, each breast, each image and each finding; an image without findings
    and an image that could not be analysed say so, the latter with the reason. `segmentations` are what
    `write_segmentations` wrote; findings refer to their segments there. `sources` maps SOP Instance UID to source data
    set. `lacking` are sentences on results that could not be written. Raises PermanentError when a source cannot be
    referred to.
    """
    headers = {image.sop_instance_uid: source_header(sources[image.sop_instance_uid]) for image in findings.images}
    study, *parts = measurement_groups(findings, headers, segmentations, identity)
    groups = [with_comments(study, lacking), *parts]
    described = [header for header in headers.values() if set(header.dir()) >= _DESCRIBED]
    return grouped(groups, described, findings.algorithm, identity)


def write_measurement_report(
    content: Dataset,
    findings: Findings,
    sources: Mapping[str, Dataset],
    evidence: Sequence[Dataset],
    identity: ResultIdentity,
    *,
    comprehensive: bool = False,
) -> Dataset:
    """The report with the `content` that `report_content` made, in a series of its own.

    It lists every image and the `evidence`, the rest of the run and first of it the segmentations that `content` refers
    to. `comprehensive`: the same as a Comprehensive SR, an object of its own, for archives that take no Comprehensive
    3D SR. Raises PermanentError when a source cannot be referred to.
    """
    images = [sources[image.sop_instance_uid] for image in findings.images]
    report = new_structured_report(
        content,
        [*map(source_header, images), *evidence],
        findings.algorithm,
        identity,
        sop_class_uid=ComprehensiveSRStorage if comprehensive else Comprehensive3DSRStorage,
        role="comprehensive report" if comprehensive else "report",
        series_number=identity.comprehensive_sr_series_number if comprehensive else identity.series_number,
        subject="report",
    )
    report.CodingSchemeIdentificationSequence = [_private_scheme(identity)]
    finish(report, images, identity)
    return report


def grouped(
    groups: Sequence[Group],
    described: Sequence[Dataset],
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> Dataset:
    """The root of a report after TID 1500 with these groups of measurements; `described` are in its image library."""
    (root,) = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device_context(algorithm, identity)),
        procedure_reported=codes.IMAGING_PROCEDURE,
        imaging_measurements=list(groups),
        title=codes.IMAGING_MEASUREMENT_REPORT,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            sr.CodedConcept.from_code(codes.ENGLISH)
        ),
        referenced_images=list(described) or None,
    )
    return root


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
