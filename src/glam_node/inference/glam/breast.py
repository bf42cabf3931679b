"""Location of the breast in a stored view: as by `solid_breast` and `breast_tissue`, but faster where possible."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.crop import OPENING_RADIUS, breast_tissue, solid_breast
from glam_node.inference.glam.spans import RowSpans

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """Two masks on the Rows x Columns of the image."""

    solid: Mask
    """The largest region that a diamond of radius 100 fits into, opened by that diamond; it places the window."""
    tissue: Mask
    """All non-zero pixels connected with the solid region."""


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
    """Return the breast of an image whose rows have one run of pixels at most; None for others or without a breast."""
    spans = RowSpans.around(foreground)
    if spans.area != np.count_nonzero(foreground):
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
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(foreground.view(np.uint8), connectivity=4)
    sides = statistics[1:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].min(axis=1)
    large = np.flatnonzero(sides > 2 * OPENING_RADIUS) + 1
    if large.size != 1:
        return None
    label = int(large[0])
    left, top, width, height = (int(value) for value in statistics[label, : cv2.CC_STAT_AREA])
    box = np.s_[top : top + height, left : left + width]
    region = labels[box] == label
    solid_within = _solid_within(RowSpans.around(region), region)
    if solid_within is None:
        try:
            solid_within = solid_breast(region.view(np.uint8))
        except UnsupportedMammogram:
            return None
    solid, tissue = np.zeros_like(foreground), np.zeros_like(foreground)
    solid[box], tissue[box] = solid_within, region
    return Breast(solid, tissue)
