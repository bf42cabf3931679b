"""The published preprocessing, step by step: a hundred erosions and dilations, a count for every candidate centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HEIGHT, WIDTH = 2944, 1920

Pixels = NDArray[np.uint16]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cropped:
    """A box in stored coordinates, and points in the crop flipped to the right."""

    top: int
    bottom: int
    left: int
    right: int
    rightmost_column: int
    bottommost_row: int


def window_of(pixels: Pixels, points_right: bool, mediolateral: bool) -> NDArray[np.float32]:
    """Return the standardised 2944 x 1920 window of a stored view that shows a breast."""
    crop = crop_breast(pixels, points_right)
    box = pixels[crop.top : crop.bottom, crop.left : crop.right].astype(np.float32)
    if not points_right:
        box = np.fliplr(box)
    return standardised(_cut(box, _centre(box, crop, mediolateral), mediolateral))


def crop_breast(pixels: Pixels, points_right: bool) -> Cropped:
    """Perform steps 1 to 12 of the crop."""
    solid = _solid(pixels)
    height, width = solid.shape
    rows, columns = np.nonzero(solid)
    top, bottom, left, right = int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
    lowest = bottom - 1
    top, bottom = top - min(top, 50), bottom + min(height - bottom, 50)
    if points_right:
        right += min(width - right, 50)
    else:
        left -= min(left, 50)
    inside = solid[top:bottom, left:right]
    skipped = int(inside.shape[0] * (1 / 3))
    _, lower_columns = np.nonzero(inside[skipped:])
    tip = int(lower_columns.max()) if points_right else inside.shape[1] - int(lower_columns.min())
    return Cropped(top, bottom, left, right, tip, lowest - top)


def _solid(pixels: Pixels) -> Mask:
    cross = ndimage.generate_binary_structure(2, 1)
    eroded = ndimage.binary_erosion(pixels > 0, cross, iterations=100)
    labels, count = ndimage.label(eroded, cross)
    if count == 0:
        raise ValueError("no breast")
    largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
    return np.asarray(ndimage.binary_dilation(labels == largest, cross, iterations=100))


def _centre(box: NDArray[np.float32], crop: Cropped, mediolateral: bool) -> tuple[int, int]:
    x = crop.rightmost_column - 961
    if mediolateral:
        rows = np.nonzero((box[:, -WIDTH:] > 0).any(axis=1))[0]
        last = int(rows[-1]) if rows.size else crop.bottommost_row
        return min(last, crop.bottommost_row) - 1473, x
    height = box.shape[0]
    if height <= HEIGHT:
        return height // 2, x
    start = max(x - 960, 0)
    candidates = range(HEIGHT // 2, height - HEIGHT // 2 + 1)
    kept = [np.count_nonzero(box[row - 1472 : row + 1472, start : start + WIDTH]) for row in candidates]
    best = max(kept)
    equal = [row for row, count in zip(candidates, kept, strict=True) if count == best]
    return min(equal, key=lambda row: (abs(row - height // 2), row)), x


def _cut(box: NDArray[np.float32], centre: tuple[int, int], mediolateral: bool) -> NDArray[np.float32]:
    height, width = box.shape
    above = 0 if mediolateral else max(HEIGHT - height, 0) // 2
    below = max(HEIGHT - height, 0) - above
    padded = np.pad(box, ((above, below), (0, max(WIDTH - width, 0))))
    top = min(max(centre[0] - 1472, 0), padded.shape[0] - HEIGHT)
    left = min(max(centre[1] - 960, 0), padded.shape[1] - WIDTH)
    return padded[top : top + HEIGHT, left : left + WIDTH]


def standardised(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the values to mean 0 and standard deviation 1."""
    centred = window - window.mean(dtype=np.float64)
    return np.asarray(centred / max(float(centred.std()), 1e-5), dtype=np.float32)
