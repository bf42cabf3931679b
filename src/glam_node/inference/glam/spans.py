"""Masks with at most one run of pixels in each row, as two numbers a row: opened by a diamond in a millisecond."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Columns = NDArray[np.int64]

# Farther than any column from any other
_FAR = 1 << 40
_WORD = 8


@dataclass(frozen=True, slots=True, eq=False)
class RowSpans:
    """First and last (exclusive) column of each row; an empty row has (_FAR, -_FAR)."""

    first: Columns
    last: Columns

    @classmethod
    def around(cls, mask: Mask) -> "RowSpans":
        """From the first to the last pixel of each row of `mask`, Rows x Columns, gaps between them filled."""
        first, last = mask.argmax(axis=1), mask.shape[1] - _from_the_end(mask)
        return cls(first, last)._where(mask[np.arange(len(mask)), first])

    def eroded(self, radius: int) -> "RowSpans":
        """Pixels whose diamond of `radius` lies within; nothing lies outside of the image."""
        first = _reach(self.first, radius, _FAR) + radius
        last = -_reach(-self.last, radius, _FAR) - radius
        return RowSpans(first, last)._where(first < last)

    def dilated(self, radius: int, width: int) -> "RowSpans":
        """Pixels within a diamond of `radius` around any of connected spans, in an image of `width` columns."""
        first = np.maximum(-_reach(-self.first, radius, -_FAR) - radius, 0)
        last = np.minimum(_reach(self.last, radius, -_FAR) + radius, width)
        return RowSpans(first, last)._where(first < last)

    def parts(self) -> list["RowSpans"]:
        """The 4-connected components, from above to below."""
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
        """Rows x `width`."""
        mask = np.zeros((len(self.first), width), dtype=np.bool_)
        for row in np.flatnonzero(self.first < self.last):
            mask[row, self.first[row] : self.last[row]] = True
        return mask

    def _where(self, kept: Mask) -> "RowSpans":
        return RowSpans(np.where(kept, self.first, _FAR), np.where(kept, self.last, -_FAR))


def _from_the_end(mask: Mask) -> Columns:
    """How many pixels of each row lie beyond its last one; any number where it has none."""
    if mask.shape[1] % _WORD or not mask.flags.c_contiguous:
        plain: Columns = mask[:, ::-1].argmax(axis=1)
        return plain
    # Eight pixels at once, and then those of one word.
    words = (mask.view(np.uint64) != 0)[:, ::-1].argmax(axis=1)
    rows = np.arange(len(mask))
    last_words = mask.reshape(len(mask), -1, _WORD)[rows, mask.shape[1] // _WORD - 1 - words]
    far: Columns = words * _WORD + last_words[:, ::-1].argmax(axis=1)
    return far


def _reach(values: Columns, radius: int, outside: int) -> Columns:
    """In each row the largest of `values` up to `radius` rows away, less that distance; `outside` beyond the ends."""
    reached, covered = values, 0
    while covered < radius:
        # Two cones that reach so far, set apart by no more than that, reach as far as both together.
        step = min(max(covered, 1), radius - covered)
        padded = np.pad(reached, step, constant_values=outside)
        reached = np.maximum(reached, np.maximum(padded[: -2 * step], padded[2 * step :]) - step)
        covered += step
    return reached
