"""The grey scale of an image as a presentation state must repeat it, since the image's own does not count beside one.

PS3.4 N.2: what the state leaves out is the identity, whatever the image says. So the image's Modality LUT or rescale
and its VOI LUT or window (the first ones, as when the image was analysed) are copied; MONOCHROME1 becomes INVERSE.
"""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

_VOI_LUT_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def copy_grey_scale(source: Dataset, state: Dataset) -> None:
    """`state` shows `source` as it shows itself (PS3.3 C.11.1, C.11.8, C.11.6)."""
    if source.get("ModalityLUTSequence"):
        item = _look_up_table(source.ModalityLUTSequence[0])
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
        item.VOILUTSequence = [_look_up_table(source.VOILUTSequence[0])]
        return item
    center, width = (_first(source.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    item.WindowCenter, item.WindowWidth = _decimal(center), _decimal(width)
    function = source.get("VOILUTFunction")
    if function in _VOI_LUT_FUNCTIONS:
        item.VOILUTFunction = function
    return item


def _look_up_table(table: Dataset) -> Dataset:
    """The same table with data as OW: US holds no 65,536 entries in Explicit VR."""
    count, first, bits = (int(value) for value in table.LUTDescriptor)
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [_signed(count) if first < 0 else count, first, bits])
    data = table.LUTData
    item.add_new("LUTData", "OW", data if isinstance(data, bytes) else np.atleast_1d(data).astype("<u2").tobytes())
    return item


def _signed(count: int) -> int:
    return count - 2**16 if count >= 2**15 else count


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, MultiValue) else value)


def _decimal(value: object) -> DSfloat:
    return DSfloat(float(str(value)), auto_format=True)
