"""From stored values to what a workstation would show: brighter is denser, padding is 0.

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

# A marker or a clip outshines everything else.
_WHITE_PERCENTILE = 99.7
# Rows of a picture that are made at once
_BAND = 64


def presented_values(dataset: Dataset, stored: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """`stored` (Rows x Columns) as displayed, 0 to 2^Bits Stored - 1; pixel padding is 0.

    Raises UnsupportedMammogram when the look-up table or window makes no sense.
    """
    return _lookup_table(dataset)[stored]


def displayed_values(dataset: Dataset, stored: NDArray[np.uint16], factor: int) -> NDArray[np.uint8]:
    """A picture of `stored`, `factor` times as small each way, as a workstation would show it.

    An image that states neither window nor VOI LUT is shown from its darkest value to where its brightest 0.3 % begin.
    A last row and column that do not fill `factor` are left out. Raises as `presented_values` does.
    """
    table = _lookup_table(dataset)
    white = float(table.max())
    if not (dataset.get("VOILUTSequence") or dataset.get("WindowWidth")):
        sample = table[stored[::7, ::7]]
        white = float(np.percentile(sample[sample > 0], _WHITE_PERCENTILE)) if sample.any() else white
    shown = np.clip(table * np.float32(255 / white), 0, 255).astype(np.uint8)
    rows, columns = (size // factor for size in stored.shape)
    picture = np.empty((rows, columns), dtype=np.uint8)
    for top in range(0, rows, _BAND):
        part = picture[top : top + _BAND]
        full = stored[top * factor : (top + len(part)) * factor, : columns * factor]
        cv2.resize(shown[full], (columns, len(part)), dst=part, interpolation=cv2.INTER_AREA)
    return picture


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
