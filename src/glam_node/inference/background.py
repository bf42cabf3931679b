"""Background made exactly 0 where that is certain: a predictor that takes every other value for tissue depends on it.

What is left after this, a strong gradient or noise as bright as tissue, is refused later: see guard.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram

Pixels = NDArray[np.uint16]

# Side of the corner that is looked at for the background's level, as a part of the image's smaller side
_CORNER = 1 / 32
# Background lies in this lowest part of the range that the image uses.
_LARGEST_FLOOR = 0.1
# A value that fills this part of the image's outermost pixels is no tissue: a breast lies at one or two edges.
_LEAST_OF_BORDER = 0.4
_LEAST_OF_IMAGE = 0.05
# A frame ends where its value does; a background reaches further in.
_LARGEST_INSIDE_FRAME = 0.1
_LEAST_WITHIN_FRAME = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Blackened:
    """An image with background 0, and what was done to it."""

    pixels: Pixels
    remarks: tuple[str, ...]


def blacken(pixels: Pixels) -> Blackened:
    """`pixels` (Rows x Columns, bright is dense) with background 0 and every other pixel at least 1.

    Background is what is black, or of one value that fills most of the image's border, or as dark as the darkest
    corner, and reaches the edge without crossing tissue; a frame of one value around the image counts as background.
    Black specks within the breast become 1. Raises UnsupportedMammogram when the background is brighter than the
    breast: then the image is inverted, or padded without saying so.
    """
    remarks = []
    pixels, frame = _without_frame(pixels)
    if frame:
        remarks.append(f"The image has a frame of value {frame} that was made black.")
    pixels, level = _without_even_background(pixels)
    floor = _floor(pixels)
    if floor:
        pixels = np.maximum(pixels, floor) - np.uint16(floor)
    if level or floor:
        remarks.append(f"The background was not black: values up to {max(level, floor)} were made black.")
    return Blackened(_without_holes(pixels), tuple(remarks))


def _border(pixels: Pixels) -> Pixels:
    return np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))


def _commonest(values: Pixels) -> tuple[int, float]:
    """The commonest value, and which part of `values` has it."""
    counts = np.bincount(values)
    value = int(counts.argmax())
    return value, float(counts[value]) / values.size


def _without_frame(pixels: Pixels) -> tuple[Pixels, int]:
    """`pixels` with edge rows and columns that have one bright value throughout made black; and that value, or 0."""
    values = np.array((pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1]))
    value, _ = _commonest(values)
    if value == 0:
        return pixels, 0
    other = pixels != value
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    if rows.size == 0:
        return pixels, 0
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inner = pixels[box]
    if inner.size == pixels.size or inner.size < _LEAST_WITHIN_FRAME * pixels.size:
        return pixels, 0
    if np.mean(_border(inner) == value) > _LARGEST_INSIDE_FRAME:
        return pixels, 0
    cleaned = np.zeros_like(pixels)
    cleaned[box] = inner
    return cleaned, value


def _without_even_background(pixels: Pixels) -> tuple[Pixels, int]:
    """`pixels` with a background of one value made black; and that value, or 0."""
    box = _occupied(pixels)
    value, part = _commonest(_border(pixels[box])) if box is not None else (0, 0.0)
    if value == 0 or part < _LEAST_OF_BORDER:
        return pixels, 0
    region = _reaching_the_edge(pixels[box] == value)
    if np.count_nonzero(region) < _LEAST_OF_IMAGE * pixels.size:
        return pixels, 0
    tissue = pixels[box][~region]
    tissue = tissue[tissue > 0]
    if tissue.size == 0 or value > np.median(tissue):
        raise UnsupportedMammogram(
            f"The background is brighter ({value}) than the breast: the image is inverted (check Photometric "
            "Interpretation), or padded without Pixel Padding Value."
        )
    cleaned = pixels.copy()
    cleaned[box][region] = 0
    if value <= np.percentile(tissue, 1):
        cleaned = np.maximum(cleaned, value) - np.uint16(value)
    return cleaned, value


def _occupied(pixels: Pixels) -> tuple[slice, slice] | None:
    """The box that holds everything that is not black."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return None
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _reaching_the_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of `mask` that is connected with its edge."""
    framed = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(1,))
    cv2.floodFill(framed, None, (0, 0), (2,))
    inner = framed[1:-1, 1:-1]
    return np.equal(inner, 2, out=inner.view(np.bool_))


def _floor(pixels: Pixels) -> int:
    """The brightest pixel of a background that is not black; 0 when it is black, or when no corner is background."""
    box = _occupied(pixels)
    if box is None:
        return 0
    framed = pixels[box]
    side = max(2, int(min(framed.shape) * _CORNER))
    corners = [framed[rows, columns] for rows in _ends(side) for columns in _ends(side)]
    darkest = min(corners, key=lambda corner: float(np.median(corner)))
    if np.median(darkest) == 0:
        return 0
    sample = framed[:: max(1, side // 8), :: max(1, side // 8)]
    lowest, bright = float(sample[sample > 0].min()), float(np.percentile(sample, 99))
    # A corner does not hold the rarest values of the noise: a quarter of its range more.
    highest = int(darkest.max()) + (int(darkest.max()) - int(darkest.min())) // 4
    return highest if highest - lowest <= _LARGEST_FLOOR * (bright - lowest) else 0


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _without_holes(pixels: Pixels) -> Pixels:
    """Black that does not reach the edge is tissue: a predictor that takes 0 as background must not see a hole."""
    black = pixels == 0
    np.greater(black, _reaching_the_edge(black), out=black)
    pixels[black] = 1
    return pixels
