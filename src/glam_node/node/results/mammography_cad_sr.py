"""The Mammography CAD SR, for workstations that display no other report of an algorithm (PS3.3 A.35.5)."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import MammographyCADSRStorage

from glam_node.inference.findings import Findings, ImageFindings
from glam_node.node.results import codes
from glam_node.node.results import mammography_cad_sr_items as items
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_structured_report, reference
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.mammography_cad_sr_findings import Impressions, algorithm_items, comparison_items
from glam_node.node.results.mammography_cad_sr_pairs import compared_images, paired_findings, placed_findings
from glam_node.node.results.sources import source_header
from glam_node.node.results.time_zone import shifted, stated_zone
from glam_node.result_kinds import MAMMOGRAPHY_CAD_SR

_LIBRARY_ITEM = [1, 2]
"""Identifier of the library in the content tree: the second item below the root, after the language."""

_HAS_ACQ_CONTEXT = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_DATES = {"StudyDate": codes.STUDY_DATE, "ContentDate": codes.CONTENT_DATE}
_TIMES = {"StudyTime": codes.STUDY_TIME, "ContentTime": codes.CONTENT_TIME}


def write_mammography_cad_sr(
    findings: Findings,
    sources: Mapping[str, Dataset],
    segmentations: Sequence[Dataset],
    identity: ResultIdentity,
) -> Dataset:
    """Return the report (PS3.16 TID 4000) on a study with at least one image, in a series of its own.

    Each finding appears once, with its outline, centre and score. Findings in both views of a breast that may be the
    same lesion form one composite feature. The report also states which images have no findings, and which could not be
    analysed, with the reason.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        segmentations: Objects that are listed as evidence in addition to the images.
        identity: The device that writes the report.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    images = [sources[image.sop_instance_uid] for image in findings.images]
    headers = {image.sop_instance_uid: header for image, header in zip(findings.images, _headers(images), strict=True)}
    report = new_structured_report(
        _content_tree(findings, headers, identity),
        [*headers.values(), *segmentations],
        findings.algorithm,
        identity,
        sop_class_uid=MammographyCADSRStorage,
        role="mammography cad sr",
        series_number=identity.series_number_of(MAMMOGRAPHY_CAD_SR),
        subject="CAD",
    )
    finish(report, images, identity)
    return report


def _headers(images: Sequence[Dataset]) -> Iterator[Dataset]:
    """Yield the header of each image, with dates and times in the time zone of the report."""
    in_zone = next((image for image in images if stated_zone(image)), images[0])
    for image in images:
        header = source_header(image)
        for event in ("Study", "Content"):
            date, time = (str(header.get(f"{event}{part}") or "") for part in ("Date", "Time"))
            if date and time:
                moved = shifted(date, time, image, in_zone)
                setattr(header, f"{event}Date", moved[0])
                setattr(header, f"{event}Time", moved[1])
        yield header


def _content_tree(findings: Findings, headers: Mapping[str, Dataset], identity: ResultIdentity) -> Dataset:
    library_items = _library_items(findings)
    placed = placed_findings(findings, identity)
    compared = compared_images(findings.images, headers)
    pairs = paired_findings(placed, compared, headers)
    root = sr.ContainerContentItem(codes.MAMMOGRAPHY_CAD_REPORT, is_content_continuous=False, template_id="4000")
    content = [
        sr.CodeContentItem(codes.LANGUAGE, codes.ENGLISH, items.HAS_CONCEPT_MOD),
        _image_library(findings, headers),
        Impressions(findings, placed, pairs, library_items, identity).overall(),
        _summary_of_detections(findings, library_items),
        _summary_of_analyses(findings.images, compared, library_items, identity),
    ]
    return items.with_children(root, content)


def _image_library(findings: Findings, headers: Mapping[str, Dataset]) -> Dataset:
    """Return the library with every image of the study that the algorithm received, in the order of `findings`."""
    entries = [_library_entry(image, headers[image.sop_instance_uid]) for image in findings.images]
    return items.container(codes.IMAGE_LIBRARY, items.CONTAINS, entries)


def _library_items(findings: Findings) -> dict[str, list[int]]:
    """Return the Referenced Content Item Identifier of each library entry by SOP Instance UID (PS3.3 C.17.3.2.5)."""
    return {image.sop_instance_uid: [*_LIBRARY_ITEM, number] for number, image in enumerate(findings.images, start=1)}


def _library_entry(image: ImageFindings, header: Dataset) -> Dataset:
    # TID 4020 row 1 forbids the name that highdicom's class requires.
    item = Dataset()
    item.RelationshipType = items.CONTAINS.value
    item.ValueType = "IMAGE"
    item.ReferencedSOPSequence = [reference(header)]
    return items.with_children(item, _acquisition_context(image, header))


def _acquisition_context(image: ImageFindings, header: Dataset) -> Iterator[Dataset]:
    """Yield the acquisition context that the image's header states."""
    side, view = codes.BREAST_OF_SIDE[image.image_laterality], codes.VIEWS[image.view_position]
    yield sr.CodeContentItem(codes.IMAGE_LATERALITY, side, _HAS_ACQ_CONTEXT)
    yield sr.CodeContentItem(codes.VIEW, view, _HAS_ACQ_CONTEXT)
    if "PatientOrientation" in header:
        row, column = header.PatientOrientation
        yield sr.TextContentItem(codes.PATIENT_ORIENTATION_ROW, row, _HAS_ACQ_CONTEXT)
        yield sr.TextContentItem(codes.PATIENT_ORIENTATION_COLUMN, column, _HAS_ACQ_CONTEXT)
    for keyword, name in _DATES.items():
        if header.get(keyword):
            yield sr.DateContentItem(name, header[keyword].value, _HAS_ACQ_CONTEXT)
    for keyword, name in _TIMES.items():
        if header.get(keyword):
            yield sr.TimeContentItem(name, header[keyword].value, _HAS_ACQ_CONTEXT)
    if "ImagerPixelSpacing" in header:
        vertical, horizontal = header.ImagerPixelSpacing
        yield _spacing(codes.HORIZONTAL_PIXEL_SPACING, horizontal)
        yield _spacing(codes.VERTICAL_PIXEL_SPACING, vertical)


def _spacing(name: Code, millimeters: float) -> Dataset:
    return sr.NumContentItem(name, round(1000 * float(millimeters), 3), codes.MICROMETER, None, _HAS_ACQ_CONTEXT)


def _summary_of_detections(findings: Findings, library_items: Mapping[str, list[int]]) -> Dataset:
    """Return the images that were searched for lesions, and those for which the search failed (TID 4015)."""
    failed = [image for image in findings.images if image.failure is not None]
    succeeded = [image for image in findings.images if image.failure is None]
    status = codes.FAILED if not succeeded else codes.PARTIALLY_SUCCEEDED if failed else codes.SUCCEEDED
    algorithm = list(algorithm_items(findings.algorithm))
    performed = _Performed(codes.DETECTION_PERFORMED, codes.MAMMOGRAPHY_BREAST_DENSITY, algorithm, library_items)
    outcomes = {codes.SUCCESSFUL_DETECTIONS: succeeded, codes.FAILED_DETECTIONS: failed}
    return performed.summary(codes.SUMMARY_OF_DETECTIONS, status, outcomes)


def _summary_of_analyses(
    images: Sequence[ImageFindings],
    compared: Sequence[ImageFindings],
    library_items: Mapping[str, list[int]],
    identity: ResultIdentity,
) -> Dataset:
    """Return the images of breasts whose two views were compared (TID 4016).

    The status is Not Attempted if no views were compared. Otherwise the comparison failed for breasts of which a view
    could not be analysed.
    """
    done = {image.sop_instance_uid for image in compared}
    lacking = {image.image_laterality for image in images if image.failure is not None}
    failed = [image for image in images if image.image_laterality in lacking and image.sop_instance_uid not in done]
    status = codes.NOT_ATTEMPTED if not compared else codes.PARTIALLY_SUCCEEDED if failed else codes.SUCCEEDED
    comparison = list(comparison_items(identity))
    performed = _Performed(codes.ANALYSIS_PERFORMED, codes.SPATIAL_COLLOCATION_ANALYSIS, comparison, library_items)
    outcomes = {codes.SUCCESSFUL_ANALYSES: compared, codes.FAILED_ANALYSES: failed} if compared else {}
    return performed.summary(codes.SUMMARY_OF_ANALYSES, status, outcomes)


@dataclass(frozen=True, slots=True)
class _Performed:
    """A detection or analysis that was performed, and its algorithm (TID 4017 and TID 4018)."""

    name: Code
    value: Code
    algorithm: list[Dataset]
    library_items: Mapping[str, list[int]]

    def summary(self, name: Code, status: Code, outcomes: Mapping[Code, Sequence[ImageFindings]]) -> Dataset:
        """Return the status, and below it the images of each outcome; outcomes without images are left out."""
        summary = sr.CodeContentItem(name, status, items.CONTAINS)
        performed = [
            items.container(outcome, items.INFERRED_FROM, [self._performed_on(images)])
            for outcome, images in outcomes.items()
            if images
        ]
        return items.with_children(summary, performed) if performed else summary

    def _performed_on(self, images: Sequence[ImageFindings]) -> Dataset:
        references = [
            items.by_reference(items.HAS_PROPERTIES, self.library_items[image.sop_instance_uid]) for image in images
        ]
        done = sr.CodeContentItem(self.name, self.value, items.CONTAINS)
        return items.with_children(done, [*map(deepcopy, self.algorithm), *references])
