"""The image library of a Mammography CAD SR, to which its findings refer (PS3.16 TID 4020)."""

from collections.abc import Iterator, Mapping

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import Findings, ImageFindings
from glam_node.node.results import codes
from glam_node.node.results.composite import reference
from glam_node.node.results.mammography_cad_sr_items import CONTAINS, container, with_children

PLACE = [1, 2]
"""Position of the library in the content tree: the second item below the root, after the language."""

_HAS_ACQ_CONTEXT = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_DATES = {"StudyDate": codes.STUDY_DATE, "ContentDate": codes.CONTENT_DATE}
_TIMES = {"StudyTime": codes.STUDY_TIME, "ContentTime": codes.CONTENT_TIME}


def image_library(findings: Findings, headers: Mapping[str, Dataset]) -> Dataset:
    """Return the library with every image of the study that the algorithm received, in the order of `findings`."""
    entries = [_entry(image, headers[image.sop_instance_uid]) for image in findings.images]
    return container(codes.IMAGE_LIBRARY, CONTAINS, entries)


def image_places(findings: Findings) -> dict[str, list[int]]:
    """Return the position of each image's library entry in the content tree, by SOP Instance UID."""
    return {image.sop_instance_uid: [*PLACE, number] for number, image in enumerate(findings.images, start=1)}


def _entry(image: ImageFindings, header: Dataset) -> Dataset:
    # TID 4020 row 1 forbids the name that highdicom's class requires.
    item = Dataset()
    item.RelationshipType = CONTAINS.value
    item.ValueType = "IMAGE"
    item.ReferencedSOPSequence = [reference(header)]
    return with_children(item, _description(image, header))


def _description(image: ImageFindings, header: Dataset) -> Iterator[Dataset]:
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
