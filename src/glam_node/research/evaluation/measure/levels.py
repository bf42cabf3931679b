"""Counting of saliency in levels, so that a curve over any number of pixels takes a fixed amount of memory.

A level is a range of 1/512 of an octave between 2^-20 and 1; its number is taken from the first bits of the float32.
Comparing levels equals comparing values at every threshold that is the lower end of a level.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OCTAVES = 20
_BITS = 9
_SHIFT = 23 - _BITS
_FIRST = ((127 - _OCTAVES) << 23) >> _SHIFT
LEVELS = (_OCTAVES << _BITS) + 2
"""Number of levels; level 0 is everything below 2^-20, the last level is 1."""
KEPT = np.arange(1, LEVELS, 8)
"""The levels that thresholds are chosen from, 64 in an octave."""

Counts = NDArray[np.int64]


def levels_of(saliency: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the level of each value, which must be 0 to 1."""
    levels = np.ascontiguousarray(saliency).view(np.int32) >> _SHIFT
    levels -= _FIRST - 1
    return np.clip(levels, 0, LEVELS - 1, out=levels)


def threshold_of(level: int) -> float:
    """Return the threshold that only values of `level` and above exceed; 1.0, which none exceeds, past the last one."""
    if level >= LEVELS:
        return 1.0
    floor = np.array([(level + _FIRST - 1) << _SHIFT], dtype=np.int32).view(np.float32)[0]
    return float(np.nextafter(floor, np.float32(0)))


@dataclass(frozen=True, slots=True, eq=False)
class PixelCounts:
    """Number of pixels per level of saliency, of all pixels and of those inside a lesion."""

    everywhere: Counts
    """One count per level."""
    inside: Counts

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        """Return the counts of both sets of pixels together."""
        return PixelCounts(self.everywhere + other.everywhere, self.inside + other.inside)


def count_pixels(saliency: NDArray[np.float32], lesion: NDArray[np.bool_]) -> PixelCounts:
    """Count the values of one map, given the mask of the lesions; both have the same shape."""
    levels = levels_of(saliency)
    return PixelCounts(np.bincount(levels.ravel(), minlength=LEVELS), np.bincount(levels[lesion], minlength=LEVELS))


def at_least(counts: Counts) -> Counts:
    """Return for each level the number of pixels at that level and above."""
    return counts[::-1].cumsum()[::-1]
