"""Preprocessing of a stored view to the window that the network reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.breast import Breast, locate_breast
from glam_node.inference.glam.crop import BreastCrop, crop_breast
from glam_node.inference.glam.orientation import Orientation, orientation_of
from glam_node.inference.glam.window import WindowGeometry, optimal_centre, place_window, standardise
from glam_node.inference.guard import check_breast
from glam_node.inference.mammogram import Mammogram, ViewPosition

# Number of columns at the chest wall that may be empty, since detectors have some dead columns there.
_LARGEST_GAP = 20
_LEAST_UNSEEN = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class PreparedView:
    """A view prepared for the network."""

    window: NDArray[np.float32]
    """2944 x 1920, standardised, breast pointing right."""
    geometry: WindowGeometry
    breast: NDArray[np.bool_]
    """Rows x Columns of the source: pixels of the breast; findings lie within them."""
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Position of a view's window, with the crop and centre that decided it."""

    crop: BreastCrop
    centre: tuple[int, int]
    geometry: WindowGeometry


def place(
    pixels: NDArray[np.uint16], solid: NDArray[np.bool_], view_position: ViewPosition, orientation: Orientation
) -> Placement:
    """Place the window on `pixels`, whose solid breast is `solid`; both have the stored orientation."""
    if orientation.upside_down:
        pixels, solid = pixels[::-1], solid[::-1]
    crop = crop_breast(solid, orientation.points_right)
    cropped = pixels[crop.top : crop.bottom, crop.left : crop.right]
    centre = optimal_centre(cropped if orientation.points_right else cropped[:, ::-1], view_position, crop)
    return Placement(crop, centre, place_window(pixels.shape, orientation, view_position, crop, centre))


@dataclass(frozen=True, slots=True, eq=False)
class ExaminedView:
    """A view that the guard did not refuse."""

    located: Breast
    orientation: Orientation
    doubts: tuple[str, ...]
    """The guard's remarks on orientation and outline."""


def examine(mammogram: Mammogram) -> ExaminedView:
    """Locate the breast and check its outline and orientation.

    Raises:
        UnsupportedMammogram: The image has no pixels or shows no breast, or its orientation is in doubt.
    """
    pixels = mammogram.pixels
    if pixels.ndim != 2 or pixels.size == 0:
        raise UnsupportedMammogram("The image has no pixels.")
    located = locate_breast(pixels)
    doubts = check_breast(pixels, located.tissue)
    orientation, remarks = orientation_of(mammogram, located.solid)
    return ExaminedView(located, orientation, (*remarks, *doubts))


def prepare(mammogram: Mammogram) -> PreparedView:
    """Prepare `mammogram` for the network.

    Raises:
        UnsupportedMammogram: The image has no pixels or shows no breast, or its orientation is in doubt.
    """
    pixels = mammogram.pixels
    examined = examine(mammogram)
    breast = examined.located.tissue
    placement = place(pixels, examined.located.solid, mammogram.view_position, examined.orientation)
    return PreparedView(
        window=standardise(placement.geometry, pixels),
        geometry=placement.geometry,
        breast=breast,
        remarks=(*mammogram.remarks, *examined.doubts, *_remarks(placement, breast)),
    )


def _remarks(placement: Placement, breast: NDArray[np.bool_]) -> list[str]:
    remarks = []
    distance = placement.crop.distance_from_starting_side
    if distance > _LARGEST_GAP:
        remarks.append(
            f"The breast begins {distance} columns away from the edge where its chest wall should be: "
            "orientation, laterality or collimation is unusual."
        )
    seen = np.count_nonzero(placement.geometry.unturned_box(breast))
    unseen = 1 - seen / np.count_nonzero(breast)
    if unseen >= _LEAST_UNSEEN:
        remarks.append(f"{unseen:.1%} of the breast lies outside the 2944 x 1920 pixels that the model sees.")
    return remarks
