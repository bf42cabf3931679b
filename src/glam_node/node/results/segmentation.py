"""DICOM Segmentation objects with the pixels of the findings of a view (PS3.3 A.51)."""

from collections.abc import Iterator, Mapping, Sequence

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.inference.findings import AlgorithmIdentification, Finding, Findings, ImageFindings
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import contributing_equipment, finish
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.placement import describe_each_frame, place_frames
from glam_node.node.results.segmentation_frames import binary_frames, label_frame, overlap, probability_frame
from glam_node.node.results.sources import source_header
from glam_node.node.results.tracking import DISPLAY_RGB, TrackedFinding, tracked_findings
from glam_node.result_kinds import FRACTIONAL_SEGMENTATION, LABELMAP_SEGMENTATION, SEGMENTATION

BINARY, FRACTIONAL, LABELMAP = (
    hd.seg.SegmentationTypeValues.BINARY,
    hd.seg.SegmentationTypeValues.FRACTIONAL,
    hd.seg.SegmentationTypeValues.LABELMAP,
)
_KINDS = {BINARY: SEGMENTATION, FRACTIONAL: FRACTIONAL_SEGMENTATION, LABELMAP: LABELMAP_SEGMENTATION}
_SERIES_OF_A_VIEW = 100
# Rows and columns of the small image that is passed to highdicom instead of the source: its 8 pixels fill one byte.
_SMALL = (2, 4)


def write_segmentations(
    findings: Findings,
    sources: Mapping[str, Dataset],
    identity: ResultIdentity,
    segmentation_type: hd.seg.SegmentationTypeValues = BINARY,
) -> Iterator[Dataset]:
    """Yield the segmentations of each view with findings, each in a series of its own. Each finding is a segment.

    BINARY: one object for each view, whose segments may overlap. If the bits of a frame do not fill whole bytes (Rows x
    Columns is not a multiple of 8), each finding is in its own object, since viewers would misplace a second frame.

    FRACTIONAL: one object for each finding, with the saliency inside the finding as PROBABILITY. A view without a
    saliency map has no such object.

    LABELMAP: one object for each view. Where findings overlap, the later one is drawn.

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        identity: The device that writes the segmentations.
        segmentation_type: BINARY, FRACTIONAL or LABELMAP.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    for image in findings.images:
        if segmentation_type is FRACTIONAL and image.saliency is None:
            continue
        source = sources[image.sop_instance_uid]
        for place, tracked in enumerate(_objects(image, findings.algorithm, identity, segmentation_type)):
            yield _write(findings.algorithm, image, tracked, place, source, identity, segmentation_type)


def _objects(
    image: ImageFindings,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
    segmentation_type: hd.seg.SegmentationTypeValues,
) -> Iterator[Sequence[TrackedFinding]]:
    tracked = list(tracked_findings(image, algorithm, identity))
    rows, columns = image.shape
    whole_bytes = rows * columns % 8 == 0
    if segmentation_type is LABELMAP or (segmentation_type is BINARY and whole_bytes):
        yield from [tracked] if tracked else []
    else:
        yield from ([one] for one in tracked)


def _write(
    algorithm: AlgorithmIdentification,
    image: ImageFindings,
    tracked: Sequence[TrackedFinding],
    place: int,
    source: Dataset,
    identity: ResultIdentity,
    segmentation_type: hd.seg.SegmentationTypeValues,
) -> Dataset:
    header = source_header(source)
    sources = [image.sop_instance_uid]
    role = "segmentation" if segmentation_type is BINARY else f"{segmentation_type.value.lower()} segmentation"
    segmentation = hd.seg.Segmentation(
        source_images=[_small(header)],
        pixel_array=np.zeros((1, *_SMALL), dtype=np.min_scalar_type(len(tracked))),
        segmentation_type=segmentation_type,
        segment_descriptions=[
            _segment(number, one, image, algorithm, identity) for number, one in enumerate(tracked, start=1)
        ],
        series_instance_uid=identity.derived_uid(f"{role} series {place}", sources, algorithm),
        series_number=identity.series_number_of(_KINDS[segmentation_type], image, place, _SERIES_OF_A_VIEW),
        sop_instance_uid=identity.derived_uid(f"{role} {place}", sources, algorithm),
        instance_number=1,
        manufacturer=identity.manufacturer,
        manufacturer_model_name=identity.manufacturer_model_name,
        software_versions=identity.software_version,
        device_serial_number=identity.device_serial_number,
        institution_name=identity.institution_name or None,
        content_label="FINDINGS",
        content_description=identity.short_statement(algorithm),
        content_qualification=hd.ContentQualificationValues.RESEARCH,
        series_description=identity.described(_subject(image, tracked, segmentation_type), algorithm),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    _set_pixels(segmentation, [one.finding for one in tracked], image)
    segmentation.ContentCreatorName = ""
    dimension_organization_uid = identity.derived_uid(f"{role} dimension organization {place}", sources, algorithm)
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimension_organization_uid
    place_frames(segmentation, header, source)
    if segmentation_type is not LABELMAP:
        describe_each_frame(segmentation)
    finish(segmentation, [source], identity)
    return segmentation


def _subject(
    image: ImageFindings, tracked: Sequence[TrackedFinding], segmentation_type: hd.seg.SegmentationTypeValues
) -> str:
    """Return the type of a segmentation and its only finding, or its view, to distinguish the series of a view."""
    what = tracked[0].tracking_id if len(tracked) == 1 else f"findings {view_name(image)}"
    return what if segmentation_type is BINARY else f"{segmentation_type.value.lower()} {what}"


def _small(header: Dataset) -> Dataset:
    """Return the header with a tiny size, since highdicom reads every pixel several times."""
    small = Dataset()
    small.update(header)
    small.Rows, small.Columns = _SMALL
    return small


def _set_pixels(segmentation: Dataset, findings: Sequence[Finding], image: ImageFindings) -> None:
    segmentation.Rows, segmentation.Columns = image.shape
    if segmentation.SegmentationType == BINARY.value:
        segmentation.PixelData = binary_frames(findings, image.shape)
        segmentation.SegmentsOverlap = "YES" if overlap(findings) else "NO"
    elif segmentation.SegmentationType == LABELMAP.value:
        segmentation.PixelData = label_frame(findings, image.shape, segmentation.BitsAllocated)
    else:
        assert image.saliency is not None  # noqa: S101 - checked by the caller
        segmentation.PixelData = probability_frame(findings[0], image.shape, image.saliency)


def segment_label(tracked: TrackedFinding) -> str:
    """Return the label that viewers show for a finding."""
    return f"{tracked.tracking_id}, score {tracked.shown.text}"


def _segment(
    number: int,
    tracked: TrackedFinding,
    image: ImageFindings,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> hd.seg.SegmentDescription:
    finding = tracked.finding
    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment_label(tracked),
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        segmented_property_type=codes.LESION,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.algorithm_name, family=codes.ARTIFICIAL_INTELLIGENCE, version=algorithm.algorithm_version
        ),
        tracking_uid=tracked.tracking_uid,
        tracking_id=tracked.tracking_id,
        anatomic_regions=[codes.BREAST],
        display_color=hd.color.CIELabColor.from_rgb(*DISPLAY_RGB[finding.kind]),
    )
    segment.SegmentDescription = identity.statement(algorithm)
    laterality = hd.sr.CodedConcept.from_code(codes.LATERALITY[image.image_laterality])
    segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [laterality]
    return segment
