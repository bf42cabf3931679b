"""Centre of the model's window on a cropped view whose breast points right."""

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.glam.crop import BreastCrop
from glam_node.inference.mammogram import ViewPosition

WINDOW_HEIGHT = 2944
WINDOW_WIDTH = 1920
HALF_HEIGHT = WINDOW_HEIGHT // 2
HALF_WIDTH = WINDOW_WIDTH // 2


def optimal_centre(pixels: NDArray[np.uint16], view_position: ViewPosition, crop: BreastCrop) -> tuple[int, int]:
    """Return row and column of the window's centre in the flipped crop `pixels`; the centre may lie outside the crop.

    As in the training of the published model, the window's right edge is one pixel short of the tip of the breast, and
    an MLO window ends one row above the lowest point of the breast.
    """
    x = crop.rightmost[1] - HALF_WIDTH - 1
    y = _row_of_cc(pixels, x) if view_position is ViewPosition.CC else _row_of_mlo(pixels, crop.bottommost[0])
    return y, x


def _row_of_cc(pixels: NDArray[np.uint16], x: int) -> int:
    """Return the middle row; in an image higher than the window, the row nearest to it that keeps most tissue."""
    height: int = pixels.shape[0]
    if height <= WINDOW_HEIGHT:
        return height // 2
    start = max(x - HALF_WIDTH, 0)
    tissue = np.count_nonzero(pixels[:, start : start + WINDOW_WIDTH], axis=1)
    cumulated = np.concatenate(([0], np.cumsum(tissue)))
    kept = cumulated[WINDOW_HEIGHT:] - cumulated[:-WINDOW_HEIGHT]
    candidates = np.flatnonzero(kept == kept.max()) + HALF_HEIGHT
    return int(candidates[np.argmin(np.abs(candidates - height // 2))])


def _row_of_mlo(pixels: NDArray[np.uint16], bottommost_row: int) -> int:
    rows = np.flatnonzero(pixels[:, -WINDOW_WIDTH:].any(axis=1)).tolist()
    last_row: int = rows[-1] if rows else bottommost_row
    return min(last_row, bottommost_row) - HALF_HEIGHT - 1
