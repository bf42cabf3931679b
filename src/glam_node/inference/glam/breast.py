"""Location of the breast in a stored view, with the results of `solid_breast` and `breast_tissue` but often faster."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.crop import OPENING_RADIUS, breast_tissue, solid_breast
from glam_node.inference.row_spans import RowSpans

Mask = NDArray[np.bool_]

_DIAMOND = 2 * OPENING_RADIUS * (OPENING_RADIUS + 1) + 1
"""Pixels of a diamond with the radius of the opening."""
_SAMPLING_STEP = 16
_FLOODED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """Two masks on the Rows x Columns of the image."""

    solid: Mask
    """The largest region that a diamond of radius 100 fits into, opened by that diamond; it decides the window."""
    tissue: Mask
    """All non-zero pixels that are connected to the solid region."""


def locate_breast(pixels: NDArray[np.uint16]) -> Breast:
    """Locate the breast in a stored view.

    Raises:
        UnsupportedMammogram: The view shows no breast.
    """
    if min(pixels.shape) > 2 * OPENING_RADIUS:
        foreground = pixels > 0
        breast = _of_spans(foreground) or _of_component(foreground)
        if breast is not None:
            return breast
    solid = solid_breast(pixels)
    return Breast(solid, breast_tissue(pixels, solid))


def _of_spans(foreground: Mask) -> Breast | None:
    """Return the breast of an image with at most one run of pixels per row; None for others or without a breast."""
    spans = RowSpans.around(foreground)
    if not spans.are(foreground):
        return None
    # The spans are exactly the foreground, so opening them opens the foreground.
    solid = _opened(spans, foreground.shape[1])
    if solid is None:
        return None
    row = int(np.argmax(solid.any(axis=1)))
    parts = spans.parts()
    around = next(part for part in parts if part.first[row] < part.last[row])
    return Breast(solid, foreground if len(parts) == 1 else around.mask(foreground.shape[1]))


def _solid_within(spans: RowSpans, region: Mask) -> Mask | None:
    """Return the solid breast of `region`, whose rows `spans` enclose; None without one, or if a gap in a row matters.

    The opened spans are returned only if they lie within the region; then both have the same opening.
    """
    solid = _opened(spans, region.shape[1])
    return solid if solid is not None and not np.any(solid > region) else None


def _opened(spans: RowSpans, width: int) -> Mask | None:
    """Return the largest part of `spans` that the diamond fits into, opened by it; None if it fits nowhere."""
    cores = spans.eroded(OPENING_RADIUS).parts()
    if not cores:
        return None
    return max(cores, key=lambda core: core.area).dilated(OPENING_RADIUS, width).mask(width)


def _of_component(foreground: Mask) -> Breast | None:
    """Return the breast if one connected region alone is large enough: a diamond never spans two regions."""
    found = _only_large_region(foreground)
    if found is None:
        return None
    region, box = found
    solid_within = _solid_within(RowSpans.around(region), region)
    if solid_within is None:
        try:
            solid_within = solid_breast(region.view(np.uint8))
        except UnsupportedMammogram:
            return None
    solid, tissue = np.zeros_like(foreground), np.zeros_like(foreground)
    solid[box], tissue[box] = solid_within, region
    return Breast(solid, tissue)


def _only_large_region(foreground: Mask) -> tuple[Mask, tuple[slice, slice]] | None:
    """Return the region around the pixel that seems farthest from all edges, and its box.

    The result is None if there is no such pixel, or the diamond does not fit into the box or might fit into another
    region.
    """
    sample = np.ascontiguousarray(foreground[::_SAMPLING_STEP, ::_SAMPLING_STEP])
    depth = cv2.distanceTransform(sample.view(np.uint8), cv2.DIST_L1, 3)
    row, column = (int(place) * _SAMPLING_STEP for place in np.unravel_index(depth.argmax(), depth.shape))
    if not foreground[row, column]:
        return None
    flooded = foreground.view(np.uint8).copy()
    count, _, _, (left, top, width, height) = cv2.floodFill(flooded, None, (column, row), (_FLOODED,))
    others = flooded == 1
    if min(width, height) <= 2 * OPENING_RADIUS or _may_be_large(others, int(np.count_nonzero(foreground)) - count):
        return None
    box = np.s_[top : top + height, left : left + width]
    return flooded[box] == _FLOODED, box


def _may_be_large(others: Mask, count: int) -> bool:
    """Return whether the diamond might fit into a region of `others`, a mask of `count` pixels."""
    if count < _DIAMOND:
        return False
    left, top, width, height = cv2.boundingRect(others.view(np.uint8))
    part = np.ascontiguousarray(others[top : top + height, left : left + width]).view(np.uint8)
    statistics = cv2.connectedComponentsWithStats(part, connectivity=4)[2]
    sides = statistics[1:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].min(axis=1)
    return bool(np.any((sides > 2 * OPENING_RADIUS) & (statistics[1:, cv2.CC_STAT_AREA] >= _DIAMOND)))
