"""Location of the breast in a stored view, with the results of `solid_breast` and `breast_tissue` but often faster."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.crop import OPENING_RADIUS, breast_tissue, solid_breast

Mask = NDArray[np.bool_]
Columns = NDArray[np.int64]

# Greater than the distance between any two columns.
_FAR = 1 << 40
_WORD = 8


@dataclass(frozen=True, slots=True, eq=False)
class RowSpans:
    """First and last (exclusive) column of one run of pixels per row; an empty row has (_FAR, -_FAR)."""

    first: Columns
    last: Columns

    @classmethod
    def around(cls, mask: Mask) -> "RowSpans":
        """Return spans from the first to the last pixel of each row of `mask` (Rows x Columns), gaps filled."""
        first, last = mask.argmax(axis=1), mask.shape[1] - _from_the_end(mask)
        return cls(first, last)._where(mask[np.arange(len(mask)), first])

    def eroded(self, radius: int) -> "RowSpans":
        """Erode by a diamond of `radius`; pixels outside the image count as empty."""
        first = _reach(self.first, radius, _FAR) + radius
        last = -_reach(-self.last, radius, _FAR) - radius
        return RowSpans(first, last)._where(first < last)

    def dilated(self, radius: int, width: int) -> "RowSpans":
        """Dilate connected spans by a diamond of `radius`, in an image of `width` columns."""
        first = np.maximum(-_reach(-self.first, radius, -_FAR) - radius, 0)
        last = np.minimum(_reach(self.last, radius, -_FAR) + radius, width)
        return RowSpans(first, last)._where(first < last)

    def parts(self) -> list["RowSpans"]:
        """Return the 4-connected components from top to bottom."""
        occupied = np.flatnonzero(self.first < self.last)
        above, below = occupied[:-1], occupied[1:]
        overlap = np.maximum(self.first[above], self.first[below]) < np.minimum(self.last[above], self.last[below])
        cuts = np.flatnonzero(~(overlap & (below == above + 1))) + 1
        rows = np.arange(len(self.first))
        groups = np.split(occupied, cuts) if occupied.size else []
        return [self._where((rows >= group[0]) & (rows <= group[-1])) for group in groups]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.maximum(self.last - self.first, 0).sum())

    def mask(self, width: int) -> Mask:
        """Return the mask of Rows x `width`."""
        mask = np.zeros((len(self.first), width), dtype=np.bool_)
        for row in np.flatnonzero(self.first < self.last):
            mask[row, self.first[row] : self.last[row]] = True
        return mask

    def _where(self, kept: Mask) -> "RowSpans":
        return RowSpans(np.where(kept, self.first, _FAR), np.where(kept, self.last, -_FAR))


def _from_the_end(mask: Mask) -> Columns:
    """Return the number of pixels after the last set pixel of each row; for an empty row the number has no meaning."""
    if mask.shape[1] % _WORD or not mask.flags.c_contiguous:
        plain: Columns = mask[:, ::-1].argmax(axis=1)
        return plain
    # Compare eight pixels at once, and then the pixels of one word.
    words = (mask.view(np.uint64) != 0)[:, ::-1].argmax(axis=1)
    rows = np.arange(len(mask))
    last_words = mask.reshape(len(mask), -1, _WORD)[rows, mask.shape[1] // _WORD - 1 - words]
    far: Columns = words * _WORD + last_words[:, ::-1].argmax(axis=1)
    return far


def _reach(values: Columns, radius: int, outside: int) -> Columns:
    """Return for each row the maximum of value minus distance up to `radius` rows away; `outside` is the padding."""
    reached, covered = values, 0
    while covered < radius:
        # The maximum of two cones of this reach, shifted by at most the reach, is a cone of the summed reach.
        step = min(max(covered, 1), radius - covered)
        padded = np.pad(reached, step, constant_values=outside)
        reached = np.maximum(reached, np.maximum(padded[: -2 * step], padded[2 * step :]) - step)
        covered += step
    return reached


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
