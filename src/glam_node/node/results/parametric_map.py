"""Parametric Maps of the saliency of each class over the whole image (PS3.3 A.75).

highdicom's class for these objects accepts only sources with a Frame of Reference, which projections do not have. A
Parametric Map must have a Frame of Reference (PS3.3 C.7.4.1 is mandatory), so this module gives it a new one. The
reference to the source states that spatial locations are preserved.
"""

from collections.abc import Iterator, Mapping

import highdicom as hd
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ParametricMapStorage

from glam_node.inference.findings import (
    CHANNELS,
    AlgorithmIdentification,
    FindingKind,
    Findings,
    ImageFindings,
    SaliencyMap,
)
from glam_node.node.results import codes
from glam_node.node.results.common_attributes import finish
from glam_node.node.results.composite import new_object, reference
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.placement import place_frames
from glam_node.node.results.sources import source_header
from glam_node.result_kinds import PARAMETRIC_MAP

_ONE = 255
_BAND = 256
_FRAME_TYPE = ["DERIVED", "PRIMARY", "OTHER", "QUANTITY"]


def write_parametric_maps(
    findings: Findings, sources: Mapping[str, Dataset], identity: ResultIdentity
) -> Iterator[Dataset]:
    """Yield one map for each class and each view that has a saliency map, each in a series of its own.

    A map has one frame of Rows x Columns. Its stored values 0 to 255 mean saliency 0 to 1 (Real World Value Mapping).

    Args:
        findings: The findings of the study.
        sources: Source data set by SOP Instance UID.
        identity: The device that writes the maps.

    Raises:
        PermanentError: A source lacks a UID, so that nothing can refer to it.
    """
    for image in findings.images:
        source = sources[image.sop_instance_uid]
        if image.saliency is not None:
            for kind in CHANNELS:
                yield _write(findings.algorithm, image, image.saliency, kind, source, identity)


def _write(
    algorithm: AlgorithmIdentification,
    image: ImageFindings,
    saliency: SaliencyMap,
    kind: FindingKind,
    source: Dataset,
    identity: ResultIdentity,
) -> Dataset:
    header = source_header(source)
    result = new_object(
        header,
        algorithm,
        identity,
        sop_class_uid=ParametricMapStorage,
        modality="OT",
        role=f"parametric map {kind}",
        source_uids=[image.sop_instance_uid],
        series_number=identity.series_number_of(PARAMETRIC_MAP, image, CHANNELS.index(kind), len(CHANNELS)),
        subject=f"saliency {kind} {view_name(image)}",
    )
    result.FrameOfReferenceUID = identity.derived_uid("frame of reference", [image.sop_instance_uid], algorithm)
    result.PositionReferenceIndicator = ""
    result.ReferencedSeriesSequence = [_referenced_series(header)]
    _describe(result, identity.short_statement(algorithm))
    organization_uid = identity.derived_uid(f"parametric map dimensions {kind}", [image.sop_instance_uid], algorithm)
    _set_frames(result, header, kind, organization_uid)
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy(image)]
    result.Rows, result.Columns = image.shape
    result.PixelData = _pixels(saliency, kind, image.shape)
    result["PixelData"].VR = "OW"
    place_frames(result, header, source)
    finish(result, [source], identity)
    return result


def _pixels(saliency: SaliencyMap, kind: FindingKind, shape: tuple[int, int]) -> bytes:
    """Return pixels of 16 bits, computed in bands since a frame is as large as the image."""
    bands = [(top, 0, min(top + _BAND, shape[0]), shape[1]) for top in range(0, shape[0], _BAND)]
    return b"".join(saliency.on_box(kind, band, "<u2").data for band in bands)


def _referenced_series(header: Dataset) -> Dataset:
    """Return the reference to the source and its series (PS3.3 C.12.2)."""
    series = Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference(header)]
    return series


def _describe(result: Dataset, statement: str) -> None:
    """Set Parametric Map Series and Image (PS3.3 C.8.32.1 and C.8.32.2) and Acquisition Context."""
    result.ImageType = _FRAME_TYPE
    result.ContentLabel = "SALIENCY"
    result.ContentDescription = statement
    result.ContentCreatorName = ""
    result.ContentQualification = "RESEARCH"
    result.BurnedInAnnotation = result.RecognizableVisualFeatures = "NO"
    result.PresentationLUTShape = "IDENTITY"
    result.AcquisitionContextSequence = []
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 16, 16, 15, 0


def _set_frames(result: Dataset, header: Dataset, kind: FindingKind, organization_uid: str) -> None:
    """Set Multi-frame Functional Groups and Dimension (PS3.3 C.7.6.16 and C.7.6.17) for the only frame."""
    result.NumberOfFrames = 1
    organization, index = Dataset(), Dataset()
    organization.DimensionOrganizationUID = index.DimensionOrganizationUID = organization_uid
    index.DimensionIndexPointer = Tag("FrameLabel")
    index.FunctionalGroupPointer = Tag("FrameContentSequence")
    index.DimensionDescriptionLabel = "Class"
    result.DimensionOrganizationSequence, result.DimensionIndexSequence = [organization], [index]
    frame_type, derivation = Dataset(), Dataset()
    frame_type.FrameType = _FRAME_TYPE
    derivation.DerivationCodeSequence = [CodedConcept.from_code(codes.UNSPECIFIED_METHOD)]
    derivation.SourceImageSequence = [reference(header)]
    derivation.SourceImageSequence[0].PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.SOURCE_IMAGE)]
    derivation.SourceImageSequence[0].SpatialLocationsPreserved = "YES"
    voi = hd.VOILUTTransformation(window_center=(_ONE + 1) / 2, window_width=_ONE + 1)
    shared = Dataset()
    shared.ParametricMapFrameTypeSequence = [frame_type]
    shared.DerivationImageSequence = [derivation]
    shared.FrameVOILUTSequence = [voi]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = 0, 1, "US"
    shared.PixelValueTransformationSequence = [transformation]
    result.SharedFunctionalGroupsSequence = [shared]
    result.PerFrameFunctionalGroupsSequence = [_frame(kind)]


def _anatomy(image: ImageFindings) -> Dataset:
    """Return the Frame Anatomy (PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.FrameLaterality = image.image_laterality.value
    anatomy.AnatomicRegionSequence = [CodedConcept.from_code(codes.BREAST)]
    return anatomy


def _frame(kind: FindingKind) -> Dataset:
    content, groups = Dataset(), Dataset()
    content.DimensionIndexValues = 1
    content.FrameLabel = kind.value
    groups.FrameContentSequence = [content]
    groups.RealWorldValueMappingSequence = [
        hd.pm.RealWorldValueMapping(
            lut_label=kind.value.upper(),
            lut_explanation=f"Saliency of the {kind} class, 0 to 1, not calibrated",
            unit=codes.NO_UNITS,
            value_range=(0, _ONE),
            slope=1 / _ONE,
            intercept=0.0,
            quantity_definition=codes.CLASS_ACTIVATION,
        )
    ]
    return groups
