"""The breast in a stored view: its largest solid region, the box around it and the points that place the window.

Constants and off-by-one conventions are those that the published model was trained with. Do not tidy them up.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram

# Structures thinner than twice this radius (labels, lines, scratches) are not breast.
OPENING_RADIUS = 100
BUFFER = 50
# The search for the nipple starts below this part of the crop.
_SKIPPED_PART = 1 / 3

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BreastCrop:
    """A half-open box around the breast in stored coordinates, and points in the box flipped to the right."""

    top: int
    bottom: int
    left: int
    right: int
    rightmost: tuple[tuple[int, int], int]
    """((first row, last row), column) of the tip of the breast."""
    bottommost: tuple[int, tuple[int, int]]
    """(row, (first column, last column)) of the lowest point of the breast."""
    distance_from_starting_side: int
    """Columns between the breast and the edge where the chest wall should be; a number above 0 suggests a problem."""


def solid_breast(pixels: NDArray[np.uint16] | NDArray[np.uint8]) -> Mask:
    """Return the largest region of non-zero pixels that a diamond of radius 100 fits into, opened by that diamond.

    Raises:
        UnsupportedMammogram: There is no such region.
    """
    if min(pixels.shape) <= 2 * OPENING_RADIUS:
        raise UnsupportedMammogram(
            f"The image is too small for a breast: {pixels.shape[0]} x {pixels.shape[1]} pixels."
        )
    foreground = cv2.copyMakeBorder((pixels > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
    eroded = _city_block_distance(foreground)[1:-1, 1:-1] > OPENING_RADIUS
    core = _largest_component(eroded)
    if core is None:
        raise UnsupportedMammogram(
            f"There is no breast in the image: no bright region more than {2 * OPENING_RADIUS} pixels across."
        )
    return _city_block_distance((~core).astype(np.uint8)) <= OPENING_RADIUS


def _city_block_distance(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the number of steps from each pixel to the nearest zero pixel, at most 255."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L1, 3, dstType=cv2.CV_8U)
    return np.asarray(distance, dtype=np.uint8)


def _largest_component(mask: Mask) -> Mask | None:
    """Return the 4-connected component with most pixels; of equal ones the first, row by row."""
    row, column = divmod(int(mask.argmax()), mask.shape[1])
    if not mask[row, column]:
        return None
    # Most masks have one component, which is filled faster than labels are counted.
    flooded = mask.astype(np.uint8)
    if cv2.floodFill(flooded, None, (column, row), (2,))[0] == np.count_nonzero(mask):
        return mask
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    largest = np.flatnonzero(areas == areas.max()) + 1
    first = labels[np.isin(labels, largest)][0] if largest.size > 1 else largest[0]
    return np.asarray(labels == first)


def breast_tissue(pixels: NDArray[np.uint16], solid: Mask) -> Mask:
    """Return the non-zero pixels that are connected with the solid breast, with the rim that the opening removed."""
    _, labels = cv2.connectedComponents((pixels > 0).astype(np.uint8), connectivity=4)
    seed = np.unravel_index(int(np.argmax(solid)), solid.shape)
    return np.asarray(labels == labels[seed])


def crop_breast(solid: Mask, points_right: bool) -> BreastCrop:
    """Return the box around a breast that points right (columns increase from chest wall to nipple) or left."""
    height, width = solid.shape
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    lowest_row = bottom - 1
    lowest_columns = np.flatnonzero(solid[lowest_row])
    distance = left if points_right else width - right
    top, bottom = max(top - BUFFER, 0), min(bottom + BUFFER, height)
    if points_right:
        right = min(right + BUFFER, width)
        lowest = int(lowest_columns[0]) - left, int(lowest_columns[-1]) - left
    else:
        left = max(left - BUFFER, 0)
        # One more than the mirrored column would be, as in the training of the published model.
        lowest = right - int(lowest_columns[-1]), right - int(lowest_columns[0])
    return BreastCrop(
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        rightmost=_rightmost(solid[top:bottom, left:right], points_right),
        bottommost=(lowest_row - top, lowest),
        distance_from_starting_side=distance,
    )


def _rightmost(solid: Mask, points_right: bool) -> tuple[tuple[int, int], int]:
    skipped = int(solid.shape[0] * _SKIPPED_PART)
    lower = solid[skipped:]
    columns = np.flatnonzero(lower.any(axis=0))
    column = int(columns[-1] if points_right else columns[0])
    rows = np.flatnonzero(lower[:, column])
    x = column if points_right else solid.shape[1] - column
    return (int(rows[0]) + skipped, int(rows[-1]) + skipped), x
