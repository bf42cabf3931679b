"""The grey scale of an image, as its presentation state must repeat it.

A presentation state replaces the grey scale of the image. If the state lacks a transformation, viewers do not apply the
one that the image states (PS3.4 N.2). So the grey scale with which the image was analysed (`stated_grey_scale`) is
copied into the state; MONOCHROME1 becomes the Presentation LUT Shape INVERSE.
"""

import re

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from glam_node.inference.grey_scale import stated_grey_scale


def copy_grey_scale(source: Dataset, state: Dataset) -> None:
    """Copy the grey scale of an image into its presentation state (PS3.3 C.11.1, C.11.8, C.11.6).

    Raises:
        UnsupportedMammogram: The image states an invalid grey scale.
    """
    stated = stated_grey_scale(source)
    if "ModalityLUTSequence" in stated:
        item = _look_up_table(stated.ModalityLUTSequence[0], scaled=False)
        item.ModalityLUTType = _legal_type(stated.ModalityLUTSequence[0].ModalityLUTType)
        state.ModalityLUTSequence = [item]
    elif "RescaleSlope" in stated:
        state.RescaleIntercept = _decimal(stated.RescaleIntercept)
        state.RescaleSlope = _decimal(stated.RescaleSlope)
        state.RescaleType = _legal_type(stated.RescaleType)
    voi = _voi(stated)
    if voi is not None:
        state.SoftcopyVOILUTSequence = [voi]
    state.PresentationLUTShape = "INVERSE" if stated.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"


def _legal_type(stated: str) -> str:
    """Return the type of a look-up table or rescale, or "US" (unspecified) if it is not a term (PS3.3 C.11.1.1.2)."""
    return stated if re.fullmatch(r"[A-Za-z0-9_ ]{1,16}", stated) else "US"


def _voi(stated: Dataset) -> Dataset | None:
    item = Dataset()
    if "VOILUTSequence" in stated:
        item.VOILUTSequence = [_look_up_table(stated.VOILUTSequence[0], scaled=True)]
        return item
    if "WindowCenter" not in stated:
        return None
    item.WindowCenter, item.WindowWidth = _decimal(stated.WindowCenter), _decimal(stated.WindowWidth)
    if "VOILUTFunction" in stated:
        item.VOILUTFunction = stated.VOILUTFunction
    return item


def _look_up_table(table: Dataset, scaled: bool) -> Dataset:
    """Return the look-up table with a descriptor that matches its encoding.

    Args:
        table: The item of the image.
        scaled: Whether to scale the entries to 16 bits. The display stays the same, but dciodvfy reports an error for
            other depths, such as the 12 bits of a mammogram's VOI LUT.
    """
    count, first, bits = (int(value) for value in table.LUTDescriptor)
    entries = np.frombuffer(table.LUTData, "<u2").astype(np.float64)
    if scaled and bits < 16:
        entries = np.round(entries * ((2**16 - 1) / (2**bits - 1)))
        bits = 16
    item = Dataset()
    count = count % 2**16
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [_signed(count) if first < 0 else count, first, bits])
    item.add_new("LUTData", "OW", np.clip(entries, 0, 2**16 - 1).astype("<u2").tobytes())
    return item


def _signed(count: int) -> int:
    return (count + 2**15) % 2**16 - 2**15


def _decimal(value: object) -> DSfloat:
    return DSfloat(float(str(value)), auto_format=True)
