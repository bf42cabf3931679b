"""Measures of how well a saliency map covers a lesion: Dice, soft Dice, pixel average precision, pointing hit.

Only images with a lesion of the class are measured, so none of these measures shows false positives.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glam_node.research.evaluation.measure.levels import KEPT, PixelCounts, at_least, count_pixels

Mask = NDArray[np.bool_]
Saliency = NDArray[np.float32]

TOP_FRACTIONS = np.geomspace(0.5, 1e-4, 40)
"""The 40 shares of pixels above a threshold that are tried; they are dense at the shares of typical lesions."""
MISS_DICE = 0.1


@dataclass(frozen=True, slots=True)
class Overlap:
    """Measures of one class of an image with a lesion of that class."""

    lesion_px: int
    dice: float | None
    """Dice at the frozen threshold; None without a threshold."""
    oracle_dice: float
    """Dice at the best threshold for this image, which no frozen threshold can exceed."""
    soft_dice: float
    average_precision: float
    pointing_hit: bool
    trial: "ThresholdTrial"
    """Counts for the intervals of measures over all images."""


def dice(found: Mask, lesion: Mask) -> float:
    """Return 2 |found and lesion| / (|found| + |lesion|); 0 for two empty masks."""
    total = np.count_nonzero(found) + np.count_nonzero(lesion)
    return 2 * np.count_nonzero(found & lesion) / total if total else 0.0


def soft_dice(saliency: Saliency, lesion: Mask) -> float:
    """Return 2 sum(saliency x lesion) / (sum saliency + sum lesion): no threshold; saliency elsewhere lowers it."""
    inside = saliency.sum(where=lesion, dtype=np.float64)
    return float(2 * inside / (saliency.sum(dtype=np.float64) + np.count_nonzero(lesion)))


def average_precision(counts: PixelCounts) -> float:
    """Return the sum over thresholds of (recall gained) x precision; pixels of one level are tied."""
    return average_precision_of(at_least(counts.everywhere), at_least(counts.inside))


def average_precision_of(found: NDArray[Any], hits: NDArray[Any]) -> float:
    """Return the average precision from the numbers of pixels, all and in lesions, at and above each rising level.

    It is NaN without a pixel in a lesion, as in a resample of images without lesions.
    """
    if not hits[0]:
        return math.nan
    precision = hits[::-1] / np.maximum(found[::-1], 1)
    return float(np.diff(hits[::-1], prepend=0) @ precision / hits[0])


def oracle_dice(counts: PixelCounts) -> float:
    """Return the largest Dice of any threshold."""
    found, hits = at_least(counts.everywhere), at_least(counts.inside)
    return float((2 * hits / (found + hits[0])).max())


def pointing_hit(saliency: Saliency, lesion: Mask) -> bool:
    """Return whether the most salient pixel lies in a lesion; if several are equal, whether at least half do."""
    return bool(lesion[saliency == saliency.max()].mean() >= 0.5)


def measure_overlap(saliency: Saliency, lesion: Mask, threshold: float | None) -> tuple[Overlap, PixelCounts]:
    """Measure one map, and return the counts that it adds to the pooled ranking."""
    counts = count_pixels(saliency, lesion)
    overlap = Overlap(
        lesion_px=int(np.count_nonzero(lesion)),
        dice=None if threshold is None else dice(saliency > threshold, lesion),
        oracle_dice=oracle_dice(counts),
        soft_dice=soft_dice(saliency, lesion),
        average_precision=average_precision(counts),
        pointing_hit=pointing_hit(saliency, lesion),
        trial=_trial(counts, saliency.size),
    )
    return overlap, counts


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdTrial:
    """Contribution of one image to the choice of a threshold: the pixels above each of the kept levels."""

    found: NDArray[np.uint32]
    hits: NDArray[np.uint32]
    lesion_px: int
    """Lesion pixels of the whole image, so that trials of parts of an image can be added up."""
    pixel_count: int


def trial_of(saliency: Saliency, lesion: Mask, lesion_px: int) -> ThresholdTrial:
    """Return the trial of an image, or of the part of it whose values are given."""
    return replace(_trial(count_pixels(saliency, lesion), saliency.size), lesion_px=lesion_px)


def _trial(counts: PixelCounts, pixel_count: int) -> ThresholdTrial:
    found, hits = (at_least(each)[KEPT].astype(np.uint32) for each in (counts.everywhere, counts.inside))
    return ThresholdTrial(found, hits, int(counts.inside.sum()), pixel_count)
