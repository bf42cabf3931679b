"""Corresponding places in two images of one view of one breast, from two exams.

A place is described by two numbers: its distance from the chest wall and its distance from the row of the nipple, both
as fractions of the distance of the nipple from the chest wall. So a breast that is placed elsewhere on the detector,
or compressed to another size, has the same numbers. The nipple is taken to be the part of the outline that is farthest
from the chest wall, and the edge of the image to be the chest wall. The method knows nothing of what lies inside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.chest_wall import shown_side
from glam_node.inference.findings import Finding
from glam_node.inference.mammogram import Mammogram

TOLERANCE_MM = 15.0
"""The largest distance of two corresponding places, on the scale of the later image."""
_CELL_MM = 0.5
_NIPPLE_MM = 2.0
_LEAST_DEPTH_MM = 15.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BreastFrame:
    """The measures of the breast in one image, by which places in it are described."""

    spacing: tuple[float, float]
    """Distance of rows and of columns at the detector, mm."""
    columns: int
    points_right: bool
    """Whether the chest wall is at the left edge."""
    nipple_row_mm: float
    depth_mm: float
    """The distance of the nipple from the chest wall."""

    def place_of(self, finding: Finding) -> tuple[float, float]:
        """Return the distances of the centre of a finding from chest wall and nipple row, as fractions of the depth."""
        rows, columns = np.nonzero(finding.mask)
        row = float(rows.mean()) + finding.origin[0] + 0.5
        column = float(columns.mean()) + finding.origin[1] + 0.5
        from_wall = column if self.points_right else self.columns - column
        away = from_wall * self.spacing[1] / self.depth_mm
        return away, (row * self.spacing[0] - self.nipple_row_mm) / self.depth_mm


@dataclass(frozen=True, slots=True)
class Match:
    """Two findings at corresponding places, by their numbers in both images, from 0."""

    later: int
    earlier: int
    distance_mm: float


def breast_frame(mammogram: Mammogram) -> BreastFrame | None:
    """Return the measures of the breast in an image; None if they are not certain, or it states no pixel spacing."""
    spacing = mammogram.imager_pixel_spacing
    if spacing is None:
        return None
    breast, cell = _largest_region(mammogram.pixels, spacing)
    side = shown_side(breast) if breast.any() else None
    if side is None:
        return None
    from_wall = breast if side.points_right else breast[:, ::-1]
    depths = np.where(from_wall.any(axis=1), from_wall.shape[1] - from_wall[:, ::-1].argmax(axis=1), 0) * cell[1]
    deepest = float(depths.max())
    if deepest < _LEAST_DEPTH_MM:
        return None
    at_nipple = np.flatnonzero(depths >= deepest - _NIPPLE_MM)
    nipple_row_mm = (float(at_nipple.mean()) + 0.5) * cell[0]
    return BreastFrame(spacing, mammogram.shape[1], side.points_right, nipple_row_mm, deepest)


def matches(
    later: BreastFrame,
    later_findings: Sequence[Finding],
    earlier: BreastFrame,
    earlier_findings: Sequence[Finding],
    tolerance_mm: float = TOLERANCE_MM,
) -> list[Match]:
    """Return the findings at corresponding places, the nearest pairs first; each finding is in one pair at most.

    Findings of both classes are compared with each other. Distances are on the scale of the later image.
    """
    places = [later.place_of(one) for one in later_findings], [earlier.place_of(one) for one in earlier_findings]
    pairs = sorted(
        (math.dist(place, other) * later.depth_mm, number, other_number)
        for number, place in enumerate(places[0])
        for other_number, other in enumerate(places[1])
    )
    found: list[Match] = []
    for distance, number, other_number in pairs:
        taken = any(number == one.later or other_number == one.earlier for one in found)
        if distance <= tolerance_mm and not taken:
            found.append(Match(number, other_number, distance))
    return found


def _largest_region(pixels: NDArray[np.uint16], spacing: tuple[float, float]) -> tuple[Mask, tuple[float, float]]:
    """Return a mask of the breast on a coarse grid, without markers beside it, and the height and width of a cell."""
    rows, columns = (max(1, round(count * side / _CELL_MM)) for count, side in zip(pixels.shape, spacing, strict=True))
    rows, columns = min(rows, pixels.shape[0]), min(columns, pixels.shape[1])
    lit = (pixels > 0).view(np.uint8)
    coarse = cv2.resize(lit, (columns, rows), interpolation=cv2.INTER_NEAREST)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(coarse, connectivity=4)
    cell = spacing[0] * pixels.shape[0] / rows, spacing[1] * pixels.shape[1] / columns
    if count < 2:
        return np.zeros_like(coarse, dtype=np.bool_), cell
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return labels == largest, cell
