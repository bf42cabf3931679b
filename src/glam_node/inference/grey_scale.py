"""From stored values to what a workstation would show: brighter is denser, background is exactly 0.

GLAM was trained on images to which the VOI transformation of the header had been applied, so it is applied here, in
the order of PS3.4 N.2: Modality LUT or rescale; the first VOI LUT, else the first window (linear, linear exact or
sigmoid), else nothing; inversion for MONOCHROME1. The darkest value that the image can show becomes 0 and the
brightest 2^Bits Stored - 1: a window that covers all values changes nothing.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from glam_node.inference.errors import UnsupportedMammogram

# Side of the corner that is looked at for the background's level, as a part of the image's smaller side
_CORNER = 1 / 32
# Background lies in this lowest part of the range that the image uses.
_LARGEST_FLOOR = 0.1


def presented_values(dataset: Dataset, stored: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """`stored` as displayed, with background 0 and every other pixel at least 1.

    Background is pixel padding, and what is black (or at the level of the darkest corner) and reaches the image's
    edge without crossing tissue; black specks within the breast become 1.
    """
    pixels = _lookup_table(dataset)[stored]
    floor = np.uint16(_floor(pixels))
    if floor:
        pixels = np.maximum(pixels, floor) - floor
    return _without_holes(pixels)


def _lookup_table(dataset: Dataset) -> NDArray[np.uint16]:
    """The output for each of the 65,536 patterns of stored bits; bits above High Bit (old overlays) do not count."""
    bits = int(dataset.BitsStored)
    patterns = np.arange(2**bits, dtype=np.int32)
    if dataset.PixelRepresentation == 1:
        values = np.where(patterns < 2 ** (bits - 1), patterns, patterns - 2**bits)
    else:
        values = patterns
    try:
        modality = apply_modality_lut(values, dataset)
        if dataset.get("VOILUTSequence"):
            modality = np.round(modality).astype(np.int32)
        shown = np.asarray(apply_voi_lut(modality, dataset), dtype=np.float64)
    except Exception as error:  # whatever pydicom raises, the cause is a table or window that makes no sense
        raise UnsupportedMammogram(f"The image's look-up table or window cannot be applied: {error}") from error
    darkest, brightest = float(shown.min()), float(shown.max())
    if not np.isfinite(darkest + brightest) or darkest == brightest:
        raise UnsupportedMammogram("The image's look-up table or window shows every pixel alike.")
    output = np.round((shown - darkest) / (brightest - darkest) * (2**bits - 1))
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        output = 2**bits - 1 - output
    output[_is_padding(dataset, values)] = 0
    return np.resize(output.astype(np.uint16), 2**16)


def _is_padding(dataset: Dataset, values: NDArray[np.int32]) -> NDArray[np.bool_]:
    """PS3.3 C.7.5.1.1.2: one value, or a range whose limits may come in either order."""
    padding = dataset.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return np.zeros(values.shape, dtype=np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    return (values >= low) & (values <= high)


def _floor(pixels: NDArray[np.uint16]) -> int:
    """The brightest pixel of a background that is not black; 0 when it is black, or when no corner is background."""
    occupied_rows, occupied_columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if occupied_rows.size == 0:
        return 0
    framed = pixels[occupied_rows[0] : occupied_rows[-1] + 1, occupied_columns[0] : occupied_columns[-1] + 1]
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


def _without_holes(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Black that does not reach the edge is tissue: a predictor that takes 0 as background must not see a hole."""
    black = cv2.copyMakeBorder((pixels == 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(black, None, (0, 0), 2)
    pixels[black[1:-1, 1:-1] == 1] = 1
    return pixels
