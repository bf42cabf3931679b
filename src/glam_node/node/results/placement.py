"""Planes of result frames: each frame lies exactly over its source image."""

import math

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from glam_node.inference.reading import imager_pixel_spacing
from glam_node.node.results.element_values import finite_numbers

# A projection usually has no plane in space, but viewers need one to draw the mask over the image. This plane is used
# as the plane of the image.
_ROW_AND_COLUMN_COSINES = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_COSINE_TOLERANCE = 1e-3
"""The largest error of the length of a direction vector and of the product of two; headers round the cosines."""
_ORIGIN = (0.0, 0.0, 0.0)
_SLICE_THICKNESS_MM = 1.0
# Viewers assume 1 mm for each pixel of an image without spacing, so the frames over it must state the same.
_UNKNOWN_SPACING = (1.0, 1.0)
UNKNOWN_SPACING_COMMENT = (
    "The source image states no pixel spacing. Pixel Spacing 1 mm stands for one pixel: measure no lengths or areas."
)


def image_pixel_spacing(source: Dataset) -> tuple[float, float] | None:
    """Return row and column spacing of a projection image in mm, as viewers compute it; None if it is unknown.

    Pixel Spacing (0028,0030) has priority. Imager Pixel Spacing (0018,1164) is measured at the detector, so viewers
    divide it by the estimated magnification, or by source-detector over source-patient distance (PS3.3 10.7.1.3).
    dwv scales an overlay by the spacing of the overlay, so with another rule here it would show the findings elsewhere.
    """
    calibrated = finite_numbers(source, "PixelSpacing", 2)
    if calibrated and min(calibrated) > 0:
        return calibrated[0], calibrated[1]
    at_detector = imager_pixel_spacing(source)
    if at_detector is None:
        return None
    magnification = _magnification(source)
    row, column = at_detector[0] / magnification, at_detector[1] / magnification
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None


def _magnification(source: Dataset) -> float:
    estimated = _positive(source, "EstimatedRadiographicMagnificationFactor")
    if estimated:
        return estimated
    detector, patient = _positive(source, "DistanceSourceToDetector"), _positive(source, "DistanceSourceToPatient")
    return detector / patient if detector and patient else 1.0


def _positive(source: Dataset, keyword: str) -> float:
    """Return the positive number of an element, or 0.0 if it has none."""
    numbers = finite_numbers(source, keyword, 1)
    return max(numbers[0], 0.0) if numbers else 0.0


def place_frames(result: Dataset, header: Dataset, source: Dataset) -> None:
    """Add the plane of the source image to every frame of a result without Frame of Reference.

    highdicom leaves these attributes out. Without Patient Orientation dciodvfy reports an error; without pixel
    measures, orientation and position dcmqi cannot read the object, and OHIF, cornerstone3D and dwv do not show it.
    Spacing Between Slices is set for dwv, which requires three dimensions. If the image states no spacing, Image
    Comments (0020,4000) says that the pixel measures mean nothing.
    """
    result.PatientOrientation = header.get("PatientOrientation", "")
    spacing = image_pixel_spacing(source)
    if spacing is None:
        result.ImageComments = UNKNOWN_SPACING_COMMENT
    shared = result.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence = hd.PixelMeasuresSequence(
        pixel_spacing=spacing or _UNKNOWN_SPACING,
        slice_thickness=_SLICE_THICKNESS_MM,
        spacing_between_slices=_SLICE_THICKNESS_MM,
    )
    shared.PlaneOrientationSequence = hd.PlaneOrientationSequence(
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        image_orientation=_row_and_column_cosines(source),
    )
    for frame in result.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = hd.PlanePositionSequence(
            coordinate_system=hd.CoordinateSystemNames.PATIENT,
            image_position=finite_numbers(source, "ImagePositionPatient", 3) or _ORIGIN,
        )


def _row_and_column_cosines(source: Dataset) -> tuple[float, ...]:
    """Return Image Orientation (Patient) if its vectors are orthogonal and of length 1 (PS3.3 C.7.6.2.1.1).

    Otherwise, return the plane that stands for that of an image without one.
    """
    stated = finite_numbers(source, "ImageOrientationPatient", 6)
    row, column = stated[:3], stated[3:]
    product = sum(one * other for one, other in zip(row, column, strict=True))
    errors = math.hypot(*row) - 1, math.hypot(*column) - 1, product
    return stated if stated and all(abs(error) <= _COSINE_TOLERANCE for error in errors) else _ROW_AND_COLUMN_COSINES


def describe_each_frame(result: Dataset) -> None:
    """Describe segment and position in every frame of a segmentation, even if there is only one frame.

    highdicom moves items that all frames share to the shared functional groups, and lists the segment as the only
    dimension.
    dwv accepts segmentations with exactly two dimensions, segment and position, and a segment number in every frame.
    All frames of a projection share one position (PS3.3 C.7.6.16 and C.7.6.17).
    """
    shared = result.SharedFunctionalGroupsSequence[0]
    index = Dataset()
    index.DimensionOrganizationUID = result.DimensionOrganizationSequence[0].DimensionOrganizationUID
    index.DimensionIndexPointer = Tag("ImagePositionPatient")
    index.FunctionalGroupPointer = Tag("PlanePositionSequence")
    index.DimensionDescriptionLabel = "Image Position (Patient)"
    result.DimensionIndexSequence.append(index)
    segment = shared.pop("SegmentIdentificationSequence", None)
    for frame in result.PerFrameFunctionalGroupsSequence:
        if segment is not None:
            frame[segment.tag] = segment
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        frame.FrameContentSequence[0].DimensionIndexValues = [number, 1]
