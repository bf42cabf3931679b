"""The Mammography CAD SR: marks for workstations that know no other report of an algorithm (PS3.3 A.35.5)."""

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
    """The report after PS3.16 TID 4000 on a study with at least one image, in a series of its own.

    Each finding stands in it once, with outline, centre and score; findings of both views of a breast that may be one
    lesion are one composite feature. An image without findings and an image that could not be analysed say so, the
    latter with the reason. `segmentations` are listed as evidence beside every image. `sources` maps SOP Instance UID
    to source data set. Raises PermanentError when a source cannot be referred to.
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
    """The header of each image, with dates and times in the zone of the report."""
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
