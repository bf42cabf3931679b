"""Transfer syntaxes that a result can be sent in, and the conversions, all without loss."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

# By the names in destinations.NAME.transfer_syntaxes (PS3.5 A.1, A.2, A.5, A.4.2)
TRANSFER_SYNTAXES: Mapping[str, UID] = {
    "explicit_vr_little_endian": ExplicitVRLittleEndian,
    "implicit_vr_little_endian": ImplicitVRLittleEndian,
    "deflated_explicit_vr_little_endian": DeflatedExplicitVRLittleEndian,
    "rle_lossless": RLELossless,
}
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def possible(path: Path, own: str, preferred: Sequence[str]) -> list[str]:
    """Those of `preferred` that the object at `path` can be sent in, in order; what is encapsulated stays as it is.

    PS3.5 8.2.2: RLE is for images of whole bytes. A file that cannot be read can be sent in none.
    """
    if own not in UNCOMPRESSED:
        return [own]
    fits = RLELossless not in preferred or _has_whole_bytes(path)
    return [syntax for syntax in preferred if syntax != RLELossless or fits]


def _has_whole_bytes(path: Path) -> bool:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["BitsAllocated"])
    except OSError:
        return False
    return int(header.get("BitsAllocated") or 0) in (8, 16)


def converted(path: Path, syntax: str) -> Dataset:
    """The object in that transfer syntax, the same SOP Instance. Raises OSError, ValueError, InvalidDicomError."""
    dataset = dcmread(path)
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    else:
        # pynetdicom sends a data set in the syntax that its file states, where the peer accepts that one too.
        recoded = BytesIO()
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.save_as(recoded, enforce_file_format=True)
        recoded.seek(0)
        return dcmread(recoded)
    return dataset
