"""The grey scale of an image as a presentation state must repeat it, since the image's own does not count beside one.

PS3.4 N.2: what the state leaves out is the identity, whatever the image says. So the image's Modality LUT or rescale
and its VOI LUT or window (the first ones, as when the image was analysed) are copied; MONOCHROME1 becomes INVERSE.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

_VOI_LUT_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def copy_grey_scale(source: Dataset, state: Dataset) -> None:
    """`state` shows `source` as it shows itself (PS3.3 C.11.1, C.11.8, C.11.6)."""
    if source.get("ModalityLUTSequence"):
        item = _look_up_table(source.ModalityLUTSequence[0], scaled=False)
        item.ModalityLUTType = str(source.ModalityLUTSequence[0].get("ModalityLUTType") or "US")
        state.ModalityLUTSequence = [item]
    elif source.get("RescaleSlope") is not None and source.get("RescaleIntercept") is not None:
        state.RescaleIntercept = _decimal(source.RescaleIntercept)
        state.RescaleSlope = _decimal(source.RescaleSlope)
        state.RescaleType = str(source.get("RescaleType") or "US")
    voi = _voi(source)
    if voi is not None:
        state.SoftcopyVOILUTSequence = [voi]
    inverse = source.get("PhotometricInterpretation") == "MONOCHROME1"
    state.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"


def _voi(source: Dataset) -> Dataset | None:
    item = Dataset()
    if source.get("VOILUTSequence"):
        item.VOILUTSequence = [_look_up_table(source.VOILUTSequence[0], scaled=True)]
        return item
    center, width = (_first(source.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    item.WindowCenter, item.WindowWidth = _decimal(center), _decimal(width)
    function = source.get("VOILUTFunction")
    if function in _VOI_LUT_FUNCTIONS:
        item.VOILUTFunction = function
    return item


def _look_up_table(table: Dataset, scaled: bool) -> Dataset:
    """The same table with data as OW: US holds no 65,536 entries in Explicit VR.

    `scaled`: to 16 bits, which shows the same; dciodvfy finds an error in others, as the 12 of a mammogram's VOI LUT.
    """
    count, first, bits = (int(value) for value in table.LUTDescriptor)
    entries = _entries(table.LUTData, count % 2**16 or 2**16)
    if scaled and bits < 16:
        entries = np.round(entries * ((2**16 - 1) / (2**bits - 1)))
        bits = 16
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [_signed(count) if first < 0 else count, first, bits])
    item.add_new("LUTData", "OW", np.clip(entries, 0, 2**16 - 1).astype("<u2").tobytes())
    return item


def _entries(data: Any, count: int) -> NDArray[Any]:
    if not isinstance(data, bytes):
        return np.atleast_1d(data)
    # PS3.3 C.11.1.1: entries of 8 bits may be packed two to a word.
    return np.frombuffer(data, "<u2" if len(data) >= 2 * count else "u1")[:count]


def _signed(count: int) -> int:
    return (count + 2**15) % 2**16 - 2**15


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, MultiValue) else value)


def _decimal(value: object) -> DSfloat:
    return DSfloat(float(str(value)), auto_format=True)
