"""The measurement report: a Comprehensive 3D SR (PS3.16 TID 1500) with scores, findings and failures."""

from collections.abc import Mapping, Sequence

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from glam_node.inference.findings import AlgorithmIdentification, Findings
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_structured_report
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import Group, measurement_groups, with_comments
from glam_node.node.results.prior_exams import Priors, place_sentences
from glam_node.node.results.prior_groups import prior_groups
from glam_node.node.results.sources import source_header
from glam_node.result_kinds import COMPREHENSIVE_SR, MEASUREMENT_REPORT

# Attributes that TID 1602 and 1603 require of an image in the library. Measurement groups refer to all images anyway.
_DESCRIBED = {"Rows", "Columns", "PatientOrientation", "ImagerPixelSpacing"}


def report_content(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],
    identity: ResultIdentity,
    lacking: Sequence[str] = (),
    priors: Priors = (),
) -> Dataset:
    """Return the root of the content tree of the report on a study with at least one image.

    The study, each breast, each image and each finding has a measurement group. The group of an image states that it
    has no findings, or why it could not be analysed.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        segmentations: The objects from `write_segmentations`; findings refer to their segments.
        identity: The device that writes the report.
        lacking: Sentences on results that could not be written.
        priors: The prior exams to which the findings were compared.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    headers = {image.sop_instance_uid: source_header(sources[image.sop_instance_uid]) for image in findings.images}
    study, *parts = measurement_groups(findings, headers, segmentations, identity, place_sentences(priors))
    groups = [with_comments(study, lacking), *parts, *prior_groups(priors, findings, identity)]
    described = [header for header in headers.values() if set(header.dir()) >= _DESCRIBED]
    return report_root(groups, described, findings.algorithm, identity)


def write_measurement_report(
    content: Dataset,
    findings: Findings,
    sources: Mapping[str, Dataset],
    evidence: Sequence[Dataset],
    identity: ResultIdentity,
    *,
    comprehensive: bool = False,
    priors: Priors = (),
) -> Dataset:
    """Return the report, in a series of its own.

    Args:
        content: The content tree from `report_content`.
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        evidence: All other results of the study, starting with the segmentations that `content` refers to; the report
            lists them in addition to every image.
        identity: The device that writes the report.
        comprehensive: Whether to write a Comprehensive SR, for archives that accept no Comprehensive 3D SR. It has the
            same content but other UIDs.
        priors: The prior exams that `content` refers to.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    images = [sources[image.sop_instance_uid] for image in findings.images]
    report = new_structured_report(
        content,
        [*map(source_header, images), *evidence],
        findings.algorithm,
        identity,
        sop_class_uid=ComprehensiveSRStorage if comprehensive else Comprehensive3DSRStorage,
        role="comprehensive report" if comprehensive else "report",
        series_number=identity.series_number_of(COMPREHENSIVE_SR if comprehensive else MEASUREMENT_REPORT),
        subject="report",
        priors=priors,
    )
    report.CodingSchemeIdentificationSequence = [_private_scheme(identity)]
    finish(report, images, identity)
    return report


def report_root(
    groups: Sequence[Group],
    described: Sequence[Dataset],
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> Dataset:
    """Return the root of a content tree that follows TID 1500.

    Args:
        groups: The measurement groups.
        described: Headers of the images in the image library.
        algorithm: The algorithm, which is named with the observer.
        identity: The device that is the observer.
    """
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
    """Return this device as the observer of a report (PS3.16 TID 1004)."""
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
