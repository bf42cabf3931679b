"""The Mammography CAD SR, for workstations that display no other report of an algorithm (PS3.3 A.35.5)."""

from collections.abc import Iterator, Mapping, Sequence

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from glam_node.inference.findings import Findings
from glam_node.node.results import codes
from glam_node.node.results.equipment import finish
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.mammography_cad_sr_agreement import agreeing_findings, compared_images, placed_findings
from glam_node.node.results.mammography_cad_sr_findings import Impressions
from glam_node.node.results.mammography_cad_sr_items import HAS_CONCEPT_MOD, with_children
from glam_node.node.results.mammography_cad_sr_library import image_library, image_places
from glam_node.node.results.mammography_cad_sr_performed import summary_of_analyses, summary_of_detections
from glam_node.node.results.sources import source_header
from glam_node.node.results.structured_report import new_structured_report
from glam_node.node.results.time_zone import shifted, stated_zone


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
        _root(findings, headers, identity),
        [*headers.values(), *segmentations],
        findings.algorithm,
        identity,
        sop_class_uid=MammographyCADSRStorage,
        role="mammography cad sr",
        series_number=identity.mammography_cad_sr_series_number,
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


def _root(findings: Findings, headers: Mapping[str, Dataset], identity: ResultIdentity) -> Dataset:
    places = image_places(findings)
    placed = placed_findings(findings, identity)
    compared = compared_images(findings.images, headers)
    pairs = agreeing_findings(placed, compared, headers)
    root = sr.ContainerContentItem(codes.MAMMOGRAPHY_CAD_REPORT, is_content_continuous=False, template_id="4000")
    items = [
        sr.CodeContentItem(codes.LANGUAGE, codes.ENGLISH, HAS_CONCEPT_MOD),
        image_library(findings, headers),
        Impressions(findings, placed, pairs, places, identity).overall(),
        summary_of_detections(findings, places),
        summary_of_analyses(findings.images, compared, places, identity),
    ]
    return with_children(root, items)
