"""The domain guard: checks that an image is one that a mammography model may score, before the model sees it.

This module checks the scale, the bits stored and the outline of the breast. Other modules check the rest: reading.py
the kind, intent and view that the header states, guard_orientation.py and chest_wall.py laterality and orientation,
background.py the background.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.card import ModelCard
from glam_node.inference.chest_wall import edge_contact
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Mammogram


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
    """The fraction of its height along which a breast may reach both sides; none is as wide as a detector."""
    largest_in_corner: float = 0.5
    """The fraction of a corner opposite to the chest wall that may be breast; outlines round off towards the nipple."""
    remarkable_contact: float = 0.33
    """The fraction of its height from which a breast that also reaches the side opposite to the chest wall gets a
    remark."""


SCREENING = DomainLimits()

_EVERY = 4
# Side of the corners that are checked, as a fraction of the image's smaller side
_CORNER = 1 / 32


def check_image(mammogram: Mammogram, card: ModelCard, limits: DomainLimits = SCREENING) -> tuple[str, ...]:
    """Return a remark for each way in which `mammogram` differs from the images that the model was trained with.

    Args:
        mammogram: The image.
        card: The card of the model package; a pixel spacing within its range is always plausible.
        limits: What is plausible for a screening view.

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
    return tuple(_unlike_card(mammogram, card))


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


def _unlike_card(mammogram: Mammogram, card: ModelCard) -> Iterator[str]:
    spacing = mammogram.imager_pixel_spacing
    if spacing is None:
        yield "The image does not say its pixel spacing (Imager Pixel Spacing): its scale was not checked."
    elif card.pixel_spacing_mm and not _within(spacing, card.pixel_spacing_mm):
        least, largest = card.pixel_spacing_mm
        yield (
            f"The pixel spacing is {spacing[0]:g} x {spacing[1]:g} mm, "
            f"the model was trained with {least:g} to {largest:g} mm."
        )
    if mammogram.manufacturer and card.vendors and not _is_of(mammogram.manufacturer, card.vendors):
        yield f"The model was not trained with images of {mammogram.manufacturer}."


def _is_of(manufacturer: str, vendors: tuple[str, ...]) -> bool:
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
        limits: What is plausible for a screening view.

    Raises:
        UnsupportedMammogram: The breast has hardly any contrast, or it covers what must be background: the whole width
            of the image, or a corner opposite to the chest wall.
    """
    values = pixels[::_EVERY, ::_EVERY][breast[::_EVERY, ::_EVERY]]
    levels = np.count_nonzero(np.bincount(values)) if values.size else 0
    if levels < limits.least_grey_levels:
        raise UnsupportedMammogram(
            f"The image has no contrast: the breast has {levels} different values where a mammogram has hundreds."
        )
    contact = edge_contact(breast)
    nearer, farther = sorted((contact.left, contact.right))
    if nearer >= limits.largest_contact:
        raise UnsupportedMammogram(
            "No background was found, the whole width of the image was taken for breast: its background is not black, "
            "or it does not show a whole breast."
        )
    if _in_corners(breast, at_right=contact.left >= contact.right) > limits.largest_in_corner:
        raise UnsupportedMammogram(
            "A corner of the image opposite to the chest wall was taken for breast: its background is not black."
        )
    if nearer >= limits.remarkable_contact:
        return (
            f"The breast reaches both sides of the image, along {farther:.0%} and {nearer:.0%} of its height: "
            "a part of it may be missing.",
        )
    return ()


def _in_corners(breast: NDArray[np.bool_], at_right: bool) -> float:
    """Return the fraction of the upper or lower corner on one side that is breast, whichever is larger, 0 to 1."""
    side = max(2, int(min(breast.shape) * _CORNER))
    columns = slice(-side, None) if at_right else slice(None, side)
    return max(float(breast[rows, columns].mean()) for rows in (slice(None, side), slice(-side, None)))
