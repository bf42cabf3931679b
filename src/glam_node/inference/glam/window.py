"""The model's window: its centre on a view, the mapping of stored pixels to it, and the mapping of masks back."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import SaliencyMap
from glam_node.inference.glam.crop import BreastCrop
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.grey_scale import look_up
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
    """Return the middle row; in an image higher than the window, the nearest row whose window keeps most tissue."""
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


WINDOW_SHAPE = (WINDOW_HEIGHT, WINDOW_WIDTH)
_LEAST_DEVIATION = 1e-5

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class WindowGeometry:
    """A box of the stored image, flipped so that the breast points right, and its place in the 2944 x 1920 window."""

    source_shape: tuple[int, int]
    orientation: Orientation
    rows: tuple[int, int]
    """First and last (exclusive) row of the box, counted from the bottom if the image is upside down."""
    columns: tuple[int, int]
    """First and last (exclusive) stored column of the box."""
    pad_top: int
    """Empty rows of the window above the box; the window is also empty to the right of the box and below it."""

    def apply(self, source: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the window of an image of `source_shape`, with 0 for empty pixels."""
        window = np.zeros(WINDOW_SHAPE, dtype=source.dtype)
        self.filled(window)[...] = self.box(source)
        return window

    def invert(self, window: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return an image of `source_shape` with each value of `window` at the pixel it came from, and 0 elsewhere."""
        source = np.zeros(self.source_shape, dtype=window.dtype)
        self.box(source)[...] = self.filled(window)
        return source

    def map_on_source(self, values: NDArray[np.uint8], step: int) -> SaliencyMap:
        """Place a map of the window, classes x rows x columns in cells of `step` pixels, on the source image."""
        cells, origin = self.cells_on_source(values, step)
        rows, columns = self.stored_box
        return SaliencyMap(
            np.ascontiguousarray(cells), step, origin, (rows.start, columns.start, rows.stop, columns.stop)
        )

    def cells_on_source(self, cells: NDArray[Scalar], step: int) -> tuple[NDArray[Scalar], tuple[int, int]]:
        """Turn cells of the window as the image is stored.

        Args:
            cells: A map of the window in cells of `step` pixels, or several maps; rows and columns last.
            step: The side of a cell in pixels.

        Returns:
            The turned cells, and row and column of the first cell's first pixel; these are negative where the cell
            starts outside the image.
        """
        height, width = cells.shape[-2] * step, cells.shape[-1] * step
        top, left = self.rows[0] - self.pad_top, self.columns[0]
        if self.orientation.upside_down:
            cells, top = cells[..., ::-1, :], self.source_shape[0] - top - height
        if not self.orientation.points_right:
            cells, left = cells[..., ::-1], self.columns[1] - width
        return cells, (top, left)

    @property
    def stored_box(self) -> tuple[slice, slice]:
        """The rows and columns of the stored image that the window shows."""
        first, last = self.rows
        if self.orientation.upside_down:
            first, last = self.source_shape[0] - last, self.source_shape[0] - first
        return slice(first, last), slice(*self.columns)

    def box(self, source: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of the part of an image of `source_shape` that the window shows, flipped as in the window."""
        return self.turned(self.unturned_box(source))

    def turned(self, box: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of a part of the image in the orientation of the window, or the reverse."""
        if self.orientation.upside_down:
            box = box[::-1]
        return box if self.orientation.points_right else box[:, ::-1]

    def unturned_box(self, source: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of the part of an image that the window shows, in the stored orientation."""
        return source[self.stored_box]

    def filled(self, window: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of the part of `window` that the box fills."""
        return window[self.filled_box]

    @property
    def filled_box(self) -> tuple[slice, slice]:
        """The rows and columns of the window that the box fills."""
        height, width = self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]
        return slice(self.pad_top, self.pad_top + height), slice(width)


def place_window(
    source_shape: tuple[int, int],
    orientation: Orientation,
    view_position: ViewPosition,
    crop: BreastCrop,
    centre: tuple[int, int],
) -> WindowGeometry:
    """Return the geometry of a window around `centre`, moved into the crop along axes where the crop is larger.

    Args:
        source_shape: Rows and columns of the stored image.
        orientation: Orientation of the stored image.
        view_position: CC or MLO.
        crop: Box around the breast; its rows are counted as `orientation` says.
        centre: Row and column in the crop once it is flipped to the right.
    """
    height, width = crop.bottom - crop.top, crop.right - crop.left
    first_row, row_count = _clamped(centre[0] - HALF_HEIGHT, height, WINDOW_HEIGHT)
    first_column, column_count = _clamped(centre[1] - HALF_WIDTH, width, WINDOW_WIDTH)
    left = crop.left + first_column if orientation.points_right else crop.right - first_column - column_count
    centred = view_position is ViewPosition.CC
    return WindowGeometry(
        source_shape=source_shape,
        orientation=orientation,
        rows=(crop.top + first_row, crop.top + first_row + row_count),
        columns=(left, left + column_count),
        pad_top=(WINDOW_HEIGHT - row_count) // 2 if centred else 0,
    )


def _clamped(start: int, size: int, window: int) -> tuple[int, int]:
    """Return the first index and the number of the pixels that the window shows along an axis of `size` pixels."""
    if size <= window:
        return 0, size
    return min(max(start, 0), size - window), window


def standardise(geometry: WindowGeometry, source: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return `geometry.apply(source)` with mean 0 and deviation 1, empty pixels included; 0 for a constant window."""
    box = geometry.unturned_box(source)
    # OpenCV sums whole numbers in float64; empty pixels add nothing to either sum.
    of_box, deviation_of_box = (float(each[0, 0]) for each in cv2.meanStdDev(box))
    part = box.size / (WINDOW_HEIGHT * WINDOW_WIDTH)
    mean = of_box * part
    deviation = max((deviation_of_box**2 + of_box**2) * part - mean**2, 0.0) ** 0.5
    scale = np.float32(1 / max(deviation, _LEAST_DEVIATION))
    standardised = (np.arange(2**16, dtype=np.float32) - np.float32(mean)) * scale
    window = np.empty(WINDOW_SHAPE, dtype=np.float32)
    rows, columns = geometry.filled_box
    for empty in (window[: rows.start], window[rows.stop :], window[rows, columns.stop :]):
        empty[...] = standardised[0]
    window[rows, columns] = geometry.turned(look_up(standardised, box))
    return window
