"""References from a report to the segments of its findings."""

from collections.abc import Iterable

from highdicom import sr
from pydicom.dataset import Dataset

from glam_node.node.results import codes


def referenced_segments(segmentations: Iterable[Dataset]) -> dict[str, Dataset]:
    """Return a content item that refers to the segment of each finding, by its tracking UID.

    If several segmentations contain a finding, the first of them is used.
    """
    items: dict[str, Dataset] = {}
    for segmentation in segmentations:
        for segment in segmentation.SegmentSequence:
            if "TrackingUID" in segment:
                items.setdefault(str(segment.TrackingUID), _item(segmentation, int(segment.SegmentNumber)))
    return items


def _item(segmentation: Dataset, number: int) -> Dataset:
    return sr.ImageContentItem(
        name=codes.SEGMENTATION,
        referenced_sop_class_uid=segmentation.SOPClassUID,
        referenced_sop_instance_uid=segmentation.SOPInstanceUID,
        referenced_segment_numbers=number,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
