"""Masks with at most one run of pixels per row, of which only the ends are computed with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    def are(self, mask: Mask) -> bool:
        """Return whether `mask`, around which these are the spans, has no gaps in its rows."""
        return self.area == np.count_nonzero(mask)

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
