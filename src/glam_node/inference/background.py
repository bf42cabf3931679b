"""Cleaning of an image's background, which becomes exactly 0, since predictors treat every other value as tissue.

Only a background that is certain is changed. An image whose background is a strong gradient, or noise as bright as
tissue, is refused later, by guard.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.row_spans import RowSpans

Pixels = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]

# Side of the corners that are searched for the level of the background, as a fraction of the image's smaller side
_CORNER = 1 / 32
# Background values span at most this fraction of the range of values in the image.
_LARGEST_NOISE_RANGE = 0.1
# A value that fills this fraction of the image's border is not tissue: a breast lies at one or two edges only.
_LEAST_FRACTION_OF_BORDER = 0.4
_LEAST_FRACTION_OF_IMAGE = 0.05
# If more of the border just inside a supposed frame has the same value, then it is not a frame but background.
_LARGEST_FRACTION_WITHIN_FRAME = 0.1
_LEAST_AREA_WITHIN_FRAME = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Blackened:
    """An image with background 0, and remarks about the changes that were made."""

    pixels: Pixels
    remarks: tuple[str, ...]


def blacken(pixels: Pixels) -> Blackened:
    """Return the image with background 0 and every other pixel at least 1.

    Background is connected to the edge of the image, and is black, or of one value that fills most of the border, or
    as dark as the darkest corner. A frame of one value around the image counts as background. Black specks within the
    breast become 1.

    Args:
        pixels: Rows x Columns; bright is dense. The array may be changed.

    Raises:
        UnsupportedMammogram: The background is brighter than the breast: the image is inverted, or it is padded
            without Pixel Padding Value.
    """
    remarks = []
    pixels, frame = _without_frame(pixels)
    if frame:
        remarks.append(f"The image has a frame of value {frame} that was made black.")
    lit = pixels > 0
    box = _bounding_box(lit)
    pixels, level = _without_even_background(pixels, box)
    ceiling = _noise_ceiling(pixels, _bounding_box(pixels > 0) if level else box)
    if ceiling:
        pixels = np.maximum(pixels, ceiling) - np.uint16(ceiling)
    if level or ceiling:
        lit = pixels > 0
        remarks.append(f"The background was not black: values up to {max(level, ceiling)} were made black.")
    return Blackened(_without_holes(pixels, lit), tuple(remarks))


def _border(pixels: Pixels) -> Pixels:
    return np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))


def _most_frequent(values: Pixels) -> tuple[int, float]:
    """Return the most frequent value, and the fraction of `values` that are equal to it."""
    counts = np.bincount(values)
    value = int(counts.argmax())
    return value, float(counts[value]) / values.size


def _without_frame(pixels: Pixels) -> tuple[Pixels, int]:
    """Return `pixels` with a frame of one bright value made black, and that value; 0 where there is no frame."""
    values = np.array((pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1]))
    value, _ = _most_frequent(values)
    if value == 0:
        return pixels, 0
    box = _bounding_box(pixels != value)
    if box is None:
        return pixels, 0
    inner = pixels[box]
    if inner.size == pixels.size or inner.size < _LEAST_AREA_WITHIN_FRAME * pixels.size:
        return pixels, 0
    if np.mean(_border(inner) == value) > _LARGEST_FRACTION_WITHIN_FRAME:
        return pixels, 0
    cleaned = np.zeros_like(pixels)
    cleaned[box] = inner
    return cleaned, value


def _without_even_background(pixels: Pixels, box: Box | None) -> tuple[Pixels, int]:
    """Return `pixels` with a background of one value made black, and that value; 0 where there is none.

    Args:
        pixels: The image.
        box: The box that holds every pixel that is not black; None where all are black.
    """
    value, part = _most_frequent(_border(pixels[box])) if box is not None else (0, 0.0)
    if value == 0 or part < _LEAST_FRACTION_OF_BORDER:
        return pixels, 0
    region = _connected_to_edge(pixels[box] == value)[0]
    if np.count_nonzero(region) < _LEAST_FRACTION_OF_IMAGE * pixels.size:
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


def _bounding_box(lit: Mask) -> Box | None:
    """Return the smallest box that holds every pixel of a mask; None for an empty one."""
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return None
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _connected_to_edge(mask: Mask) -> tuple[Mask, int]:
    """Return the part of `mask` that is connected to the edge of the image, and the number of its pixels."""
    framed = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(1,))
    filled = cv2.floodFill(framed, None, (0, 0), (2,))[0]
    inner = framed[1:-1, 1:-1]
    return np.equal(inner, 2, out=inner.view(np.bool_)), filled - (framed.size - inner.size)


def _noise_ceiling(pixels: Pixels, box: Box | None) -> int:
    """Return the brightest value of a noisy background; 0 when it is black, or when no corner is background.

    Args:
        pixels: The image.
        box: The box that holds every pixel that is not black; None where all are black.
    """
    if box is None:
        return 0
    framed = pixels[box]
    side = max(2, int(min(framed.shape) * _CORNER))
    corners = [framed[rows, columns] for rows in _first_and_last(side) for columns in _first_and_last(side)]
    darkest = min(corners, key=lambda corner: float(np.median(corner)))
    if np.median(darkest) == 0:
        return 0
    sample = framed[:: max(1, side // 8), :: max(1, side // 8)]
    lowest, bright = float(sample[sample > 0].min()), float(np.percentile(sample, 99))
    # The rarest noise values may lie outside the corner, so a quarter of the corner's range is added.
    highest = int(darkest.max()) + (int(darkest.max()) - int(darkest.min())) // 4
    return highest if highest - lowest <= _LARGEST_NOISE_RANGE * (bright - lowest) else 0


def _first_and_last(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _without_holes(pixels: Pixels, lit: Mask) -> Pixels:
    """Set black pixels that are not connected to the edge to 1, since a predictor would treat 0 as background.

    Args:
        pixels: The image, which is changed.
        lit: Its pixels that are not black.
    """
    if RowSpans.around(lit).are(lit):  # from each black pixel, only black ones lead to one side of the image
        return pixels
    black = ~lit
    outside, count = _connected_to_edge(black)
    if count < np.count_nonzero(black):
        pixels[np.greater(black, outside, out=black)] = 1
    return pixels
