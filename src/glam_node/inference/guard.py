"""The domain guard: checks that an image is one that a mammography model may score, before the model sees it.

This module checks the scale, the bits stored, the outline of the breast, and the laterality and orientation that the
header states. Other modules check the rest: reading.py the kind, intent and view that the header states, chest_wall.py
the orientation by the pixels, background.py the background.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.card import ModelCard
from glam_node.inference.chest_wall import edge_contact
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition


@dataclass(frozen=True, slots=True)
class DomainLimits:
    """Limits of what is plausible for a whole-breast screening view, inclusive."""

    pixel_spacing_mm: tuple[float, float] = (0.04, 0.2)
    """Spacing at the detector. Digital detectors have 0.05 (CR, Fuji) to 0.1 (GE), film digitisers 0.042 and more
    (DDSM); the coarsest public screening films are those of MIAS, reduced to 0.2."""
    largest_anisotropy: float = 1.02
    """Row spacing divided by column spacing, or the reverse; detector elements are squares."""
    field_mm: tuple[float, float] = (40.0, 400.0)
    """Height and width of the image. Detectors and films measure 180 x 240 to 300 x 400 mm; images that were cropped
    to the breast are as narrow as the breast is deep."""
    bits_stored: tuple[int, int] = (8, 16)
    """PS3.3 C.8.11.3 allows 6 to 16 for X-ray images of this kind; mammograms have 8 (lossy exports) to 16."""
    least_grey_levels: int = 32
    """The number of different values within the breast, on every fourth pixel; masks and drawings have a few."""
    largest_contact: float = 0.75
    """The fraction of its height along which a breast may reach both sides; no breast is as wide as a detector."""
    largest_in_corner: float = 0.5
    """The fraction of a corner opposite to the chest wall that may be breast; outlines round off towards the nipple."""
    remarkable_contact: float = 0.33
    """The fraction of its height from which a remark is made if a breast also reaches the side opposite to the chest
    wall."""


SCREENING = DomainLimits()

_OUTER_SIDE = {Laterality.LEFT: "L", Laterality.RIGHT: "R"}
_INNER_SIDE = {Laterality.LEFT: "R", Laterality.RIGHT: "L"}

# Pixels between samples in each direction
_SAMPLING_STEP = 4
# Side of the corners that are checked, as a fraction of the image's smaller side
_CORNER = 1 / 32


def check_image(mammogram: Mammogram, card: ModelCard, limits: DomainLimits = SCREENING) -> tuple[str, ...]:
    """Return a remark for each way in which `mammogram` differs from the images that the model was trained with.

    Args:
        mammogram: The image.
        card: The card of the model package; a pixel spacing within its range is always plausible.
        limits: The limits of what is plausible for a screening view.

    Raises:
        UnsupportedMammogram: The bits stored, pixel spacing or field of view is implausible for a screening view.
    """
    least_bits, most_bits = limits.bits_stored
    if not least_bits <= mammogram.bits_stored <= most_bits:
        raise UnsupportedMammogram(
            f"The image has {mammogram.bits_stored} bits stored; mammograms have {least_bits} to {most_bits}."
        )
    spacing = mammogram.imager_pixel_spacing
    if spacing is not None:
        _check_scale(spacing, mammogram.shape, card, limits)
    return tuple(_differences_to_card(mammogram, card))


def _within(spacing: tuple[float, float], limits: tuple[float, ...]) -> bool:
    return bool(limits) and all(limits[0] <= side <= limits[1] for side in spacing)


def _check_scale(spacing: tuple[float, float], shape: tuple[int, int], card: ModelCard, limits: DomainLimits) -> None:
    written = " x ".join(f"{side:g}" for side in spacing)
    if not (_within(spacing, limits.pixel_spacing_mm) or _within(spacing, card.pixel_spacing_mm)):
        least, largest = limits.pixel_spacing_mm
        raise UnsupportedMammogram(f"The pixel spacing is {written} mm; mammograms have {least:g} to {largest:g} mm.")
    if max(spacing) > limits.largest_anisotropy * min(spacing):
        raise UnsupportedMammogram(f"The pixels are not square: their spacing is {written} mm.")
    field = [count * side for count, side in zip(shape, spacing, strict=True)]
    if not all(limits.field_mm[0] <= side <= limits.field_mm[1] for side in field):
        raise UnsupportedMammogram(
            f"The image shows a field of {field[0]:.0f} x {field[1]:.0f} mm; that is not a view of a whole breast."
        )


def _differences_to_card(mammogram: Mammogram, card: ModelCard) -> Iterator[str]:
    spacing = mammogram.imager_pixel_spacing
    if spacing is None:
        yield "The image does not state its pixel spacing (Imager Pixel Spacing): its scale was not checked."
    elif card.pixel_spacing_mm and not _within(spacing, card.pixel_spacing_mm):
        least, largest = card.pixel_spacing_mm
        yield (
            f"The pixel spacing is {spacing[0]:g} x {spacing[1]:g} mm, "
            f"the model was trained with {least:g} to {largest:g} mm."
        )
    if mammogram.manufacturer and card.vendors and not _is_one_of(mammogram.manufacturer, card.vendors):
        yield f"The model was not trained with images of {mammogram.manufacturer}."


def _is_one_of(manufacturer: str, vendors: tuple[str, ...]) -> bool:
    """Return whether one of `vendors` is the manufacturer.

    Manufacturers write their names in several ways, so it is enough that one name contains the other.
    """
    name = manufacturer.casefold()
    return any(vendor.casefold() in name or name in vendor.casefold() for vendor in vendors)


def check_breast(
    pixels: NDArray[np.uint16], breast: NDArray[np.bool_], limits: DomainLimits = SCREENING
) -> tuple[str, ...]:
    """Return a remark when the outline that was found for the breast is doubtful.

    Args:
        pixels: Rows x Columns, the image.
        breast: Rows x Columns, True where the breast was found.
        limits: The limits of what is plausible for a screening view.

    Raises:
        UnsupportedMammogram: The breast has hardly any contrast, or it covers what must be background: the whole width
            of the image, or a corner opposite to the chest wall.
    """
    values = pixels[::_SAMPLING_STEP, ::_SAMPLING_STEP][breast[::_SAMPLING_STEP, ::_SAMPLING_STEP]]
    levels = np.count_nonzero(np.bincount(values)) if values.size else 0
    if levels < limits.least_grey_levels:
        raise UnsupportedMammogram(
            f"The image has no contrast: the breast has {levels} different values where a mammogram has hundreds."
        )
    contact = edge_contact(breast)
    nearer, farther = sorted((contact.left, contact.right))
    if nearer >= limits.largest_contact:
        raise UnsupportedMammogram(
            "No background was found; the whole width of the image looks like breast: its background is not black, "
            "or it does not show a whole breast."
        )
    if _breast_in_corners(breast, at_right=contact.left >= contact.right) > limits.largest_in_corner:
        raise UnsupportedMammogram(
            "A corner of the image opposite to the chest wall looks like breast: its background is not black."
        )
    if nearer >= limits.remarkable_contact:
        return (
            f"The breast reaches both sides of the image, along {farther:.0%} and {nearer:.0%} of its height: "
            "a part of it may be missing.",
        )
    return ()


def _breast_in_corners(breast: NDArray[np.bool_], at_right: bool) -> float:
    """Return the fraction of the upper or lower corner on one side that is breast, whichever is larger, 0 to 1."""
    side = max(2, int(min(breast.shape) * _CORNER))
    columns = slice(-side, None) if at_right else slice(None, side)
    return max(float(breast[rows, columns].mean()) for rows in (slice(None, side), slice(-side, None)))


@dataclass(frozen=True, slots=True)
class StatedPose:
    """The orientation of the breast in the stored image, by Patient Orientation (0020,0020)."""

    points_right: bool
    """Whether the chest wall is on the left, so that column numbers increase towards the nipple."""
    upside_down: bool
    """Whether the first stored row is the lowest. Always False for a CC view, which looks like a view of the other
    breast when it is upside down."""


def stated_pose(
    image_laterality: Laterality, view_position: ViewPosition, patient_orientation: tuple[str, str] | None
) -> StatedPose | None:
    """Return the orientation that the header states (PS3.3 C.7.6.1.1.1); None when it states none.

    A mislabelled view is dangerous because it is a plausible view of the other breast. A mirrored left breast looks
    like a right one, so the header must tell them apart. Seen from the X-ray tube, the columns of a CC view run to the
    inner side and those of an MLO view to the feet and the inner side; the rows run to the front of a left breast and
    to the back of a right one. Equipment that stores a view mirrored states rows that run the other way; then it must
    also state the side that the columns run to. A view that could also be one of the other breast is refused, whatever
    the cause. Field of View Rotation and Horizontal Flip (0018,7032 and 7034) are not used: they describe the path
    from the detector to the image, not the stored image.

    Args:
        image_laterality: The breast that the header states.
        view_position: The view that the header states.
        patient_orientation: Patient Orientation: the directions that rows and columns run to.

    Raises:
        UnsupportedMammogram: The image is turned by 90 degrees, or its laterality and Patient Orientation contradict
            each other or could be those of the other breast.
    """
    if patient_orientation is None:
        return None
    rows_run, columns_run = (direction.strip().upper() for direction in patient_orientation)
    if not rows_run.startswith(("A", "P")):
        if columns_run.startswith(("A", "P")):
            raise UnsupportedMammogram(
                f"The image is turned by 90 degrees: Patient Orientation is {rows_run}\\{columns_run}."
            )
        return None
    points_right = rows_run.startswith("A")
    if view_position is ViewPosition.CC:
        reason = _doubt_about_cc(image_laterality, columns_run)
    else:
        reason = _doubt_about_mlo(image_laterality, points_right, columns_run)
    if reason:
        raise UnsupportedMammogram(
            f"Image Laterality says {image_laterality} but Patient Orientation {rows_run}\\{columns_run} {reason}: "
            "the laterality may be wrong, or the image mirrored."
        )
    return StatedPose(points_right, upside_down=view_position is ViewPosition.MLO and "H" in columns_run)


def _doubt_about_cc(image_laterality: Laterality, columns_run: str) -> str:
    """Return the reason why this CC view may show the other breast; empty when it cannot."""
    if _OUTER_SIDE[image_laterality] in columns_run:
        return "is that of the other breast"
    return ""


def _doubt_about_mlo(image_laterality: Laterality, points_right: bool, columns_run: str) -> str:
    """Return the reason why this MLO view may show the other breast; empty when it cannot."""
    to_the_head = "H" in columns_run
    expected = (_OUTER_SIDE if to_the_head else _INNER_SIDE)[image_laterality]
    if expected in columns_run:
        return ""
    if "L" in columns_run or "R" in columns_run:
        return "is that of the other breast"
    ordinary = (image_laterality is Laterality.LEFT) != to_the_head
    return "" if points_right is ordinary else "fits the other breast"
