"""Conversion of stored values to the values that a workstation would show: brighter is denser, padding is 0.

GLAM was trained on images to which the VOI transformation of the header had been applied, so this module applies it,
in the order of PS3.4 N.2: Modality LUT or rescale; the first VOI LUT, else the first window (linear, linear exact or
sigmoid), else nothing; inversion for MONOCHROME1. The darkest value that the image can show becomes 0 and the
brightest 2^Bits Stored - 1: a window that covers all values changes nothing.

An optional element counts as absent if it has no value (PS3.5 7.4.5) or only blanks, as does a sequence without items
or a table without entries. An image is refused if it states a table or window that makes no sense.
"""

import math
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from glam_node.inference.errors import UnsupportedMammogram

# A marker or a clip is far brighter than tissue, so the brightest pixels do not set the white level.
_WHITE_PERCENTILE = 99.7
_VOI_LUT_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# Rows of the picture that are computed at once, to save memory
_BAND = 64

Entry = TypeVar("Entry", np.uint8, np.uint16, np.float32)


def stated_grey_scale(dataset: Dataset) -> Dataset:
    """Return the grey scale that a header states, which readers apply and presentation states repeat.

    Returns:
        Modality LUT Sequence (one item) or Rescale Slope and Intercept; VOI LUT Sequence (one item) or one Window
        Center and Width, with VOI LUT Function; Photometric Interpretation. Elements without a value are left out.
        LUT Descriptor is the number of entries (never 0), the first value and the bits; LUT Data is little-endian OW.

    Raises:
        UnsupportedMammogram: A stated table, window or rescale makes no sense.
    """
    stated = Dataset()
    stated.file_meta = FileMetaDataset()
    stated.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stated.PhotometricInterpretation = _text(dataset, "PhotometricInterpretation")
    try:
        _state_modality(dataset, stated)
        _state_voi(dataset, stated)
    except Exception as error:  # pydicom converts on access and raises whatever its converters raise
        raise _unusable_table(error) from error
    return stated


def _state_modality(dataset: Dataset, stated: Dataset) -> None:
    table = _first_table(dataset, "ModalityLUTSequence")
    if table is not None:
        table.ModalityLUTType = _text(table, "ModalityLUTType") or "US"
        stated.ModalityLUTSequence = [table]
        return
    slope, intercept = (_numbers(dataset, keyword)[:1] for keyword in ("RescaleSlope", "RescaleIntercept"))
    if any(value is not None for value in (*slope, *intercept)):
        stated.RescaleSlope = 1.0 if not slope or slope[0] is None else slope[0]
        stated.RescaleIntercept = 0.0 if not intercept or intercept[0] is None else intercept[0]
        stated.RescaleType = _text(dataset, "RescaleType") or "US"


def _state_voi(dataset: Dataset, stated: Dataset) -> None:
    table = _first_table(dataset, "VOILUTSequence")
    if table is not None:
        stated.VOILUTSequence = [table]
        return
    pairs = zip(_numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth"), strict=False)
    window = next((pair for pair in pairs if None not in pair), None)
    if window is not None:
        stated.WindowCenter, stated.WindowWidth = window
        function = _text(dataset, "VOILUTFunction").upper()
        if function not in ("", *_VOI_LUT_FUNCTIONS):
            raise ValueError(f"VOI LUT Function {function} is not known")
        if function:
            stated.VOILUTFunction = function


def _first_table(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence that holds a look-up table, rewritten with 16-bit entries; None without one.

    Entries of 8 bits may be packed two to a word (PS3.3 C.11.1.1).
    """
    big_endian = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID") == ExplicitVRBigEndian
    for item in dataset.get(keyword) or ():
        descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
        if not descriptor or data is None or len(np.atleast_1d(data)) == 0 or data == b"":
            continue
        count, first, bits = (int(value) for value in descriptor)
        count = count % 2**16 or 2**16
        if isinstance(data, bytes):
            words = ">u2" if big_endian else "<u2"
            entries = np.frombuffer(data, words if len(data) >= 2 * count else "u1")[:count]
        else:
            entries = np.atleast_1d(data)[:count]
        if len(entries) < count or not 1 <= bits <= 16:
            raise ValueError(f"{len(entries)} entries of {bits} bits where {count} are declared")
        table = Dataset()
        table.add_new("LUTDescriptor", "SL", [count, first, bits])
        table.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
        if "ModalityLUTType" in item:
            table.ModalityLUTType = item.ModalityLUTType
        return table
    return None


def _numbers(dataset: Dataset, keyword: str) -> list[float | None]:
    """Return the values of an element in their order; None for an empty one."""
    value = dataset.get(keyword)
    texts = [str(one).strip() for one in (value if isinstance(value, MultiValue | list) else [value])]
    numbers = [float(text) if text not in ("", "None") else None for text in texts]
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ValueError(f"{keyword} is not finite")
    return numbers


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _unusable_table(error: Exception) -> UnsupportedMammogram:
    return UnsupportedMammogram(f"The image's look-up table or window cannot be applied: {error}")


def presented_values(dataset: Dataset, stored: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the values that a workstation would show, 0 to 2^Bits Stored - 1; pixel padding is 0.

    Args:
        dataset: The header of the image.
        stored: Rows x Columns, the stored bit patterns.

    Raises:
        UnsupportedMammogram: The look-up table or window makes no sense.
    """
    return look_up(_lookup_table(dataset, stated_grey_scale(dataset)), stored)


def displayed_values(dataset: Dataset, stored: NDArray[np.uint16], factor: int) -> NDArray[np.uint8]:
    """Return a small 8-bit picture of the image as a workstation would show it.

    In an image that states neither window nor VOI LUT, the brightest 0.3 % of the pixels are white.

    Args:
        dataset: The header of the image.
        stored: Rows x Columns, the stored bit patterns.
        factor: How many times smaller the picture is in each direction; rows and columns left over are dropped.

    Raises:
        UnsupportedMammogram: The look-up table or window makes no sense.
    """
    stated = stated_grey_scale(dataset)
    table = _lookup_table(dataset, stated)
    white = float(table.max())
    if not ("VOILUTSequence" in stated or "WindowWidth" in stated):
        sample = table[stored[::7, ::7]]
        white = float(np.percentile(sample[sample > 0], _WHITE_PERCENTILE)) if sample.any() else white
    shown = np.clip(table * np.float32(255 / white), 0, 255).astype(np.uint8)
    rows, columns = (size // factor for size in stored.shape)
    picture = np.empty((rows, columns), dtype=np.uint8)
    for top in range(0, rows, _BAND):
        part = picture[top : top + _BAND]
        full = stored[top * factor : (top + len(part)) * factor, : columns * factor]
        cv2.resize(look_up(shown, full), (columns, len(part)), dst=part, interpolation=cv2.INTER_AREA)
    return picture


def look_up(table: NDArray[Entry], values: NDArray[np.uint16]) -> NDArray[Entry]:
    """Return `table[values]` for a table of 65,536 entries and values of rows x columns, faster than numpy does."""
    return cast(NDArray[Entry], cv2.LUT(values, table))


def _lookup_table(dataset: Dataset, stated: Dataset) -> NDArray[np.uint16]:
    """Return the output value of each of the 65,536 stored bit patterns.

    Bits above High Bit, which hold overlays in old images, are ignored.
    """
    bits = int(dataset.BitsStored)
    patterns = np.arange(2**bits, dtype=np.int32)
    if dataset.PixelRepresentation == 1:
        values = np.where(patterns < 2 ** (bits - 1), patterns, patterns - 2**bits)
    else:
        values = patterns
    stated.BitsStored, stated.PixelRepresentation = bits, dataset.PixelRepresentation
    try:
        modality = apply_modality_lut(values, stated)
        if "VOILUTSequence" in stated:
            modality = np.round(modality).astype(np.int32)
        shown = np.asarray(apply_voi_lut(modality, stated), dtype=np.float64)
    except Exception as error:  # pydicom raises many types, always because the table or window makes no sense
        raise _unusable_table(error) from error
    darkest, brightest = float(shown.min()), float(shown.max())
    if not np.isfinite(darkest + brightest) or darkest == brightest:
        raise UnsupportedMammogram("The image's look-up table or window shows every pixel alike.")
    output = np.round((shown - darkest) / (brightest - darkest) * (2**bits - 1))
    if stated.PhotometricInterpretation == "MONOCHROME1":
        output = 2**bits - 1 - output
    output[_is_padding(dataset, values)] = 0
    return np.resize(output.astype(np.uint16), 2**16)


def _is_padding(dataset: Dataset, values: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which values are padding (PS3.3 C.7.5.1.1.2): one value, or a range whose limits may be in any order."""
    padding = dataset.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return np.zeros(values.shape, dtype=np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    return (values >= low) & (values <= high)
