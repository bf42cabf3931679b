"""Transfer syntaxes in which results can be sent, and the lossless conversions between them."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

# Name in destinations.NAME.transfer_syntaxes -> UID (PS3.5 A.1, A.2, A.5, A.4.2)
TRANSFER_SYNTAXES: Mapping[str, UID] = {
    "explicit_vr_little_endian": ExplicitVRLittleEndian,
    "implicit_vr_little_endian": ImplicitVRLittleEndian,
    "deflated_explicit_vr_little_endian": DeflatedExplicitVRLittleEndian,
    "rle_lossless": RLELossless,
}
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def sendable_syntaxes(path: Path, own: str, preferred: Sequence[str]) -> list[str]:
    """Return the preferred transfer syntaxes in which the object can be sent, in order.

    An encapsulated object is sent in its own transfer syntax only. RLE requires an image with whole bytes for each
    sample (PS3.5 8.2.2), and is left out if the file cannot be read.

    Args:
        path: The file of the object.
        own: UID of the object's transfer syntax.
        preferred: UIDs of the preferred transfer syntaxes.
    """
    if own not in UNCOMPRESSED:
        return [own]
    fits = RLELossless not in preferred or _has_whole_bytes(path)
    return [syntax for syntax in preferred if syntax != RLELossless or fits]


def _has_whole_bytes(path: Path) -> bool:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["BitsAllocated"])
    except (OSError, InvalidDicomError):
        return False
    return int(header.get("BitsAllocated") or 0) in (8, 16)


def convert(path: Path, syntax: str) -> Dataset:
    """Return the object in another transfer syntax, as the same SOP Instance.

    Raises:
        OSError: The file cannot be read.
        ValueError: The object cannot be encoded in that transfer syntax.
        InvalidDicomError: The file is not DICOM.
    """
    dataset = dcmread(path)
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    else:
        # pynetdicom would send the data set in the transfer syntax of its file if the peer accepts that one too.
        recoded = BytesIO()
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.save_as(recoded, enforce_file_format=True)
        recoded.seek(0)
        return dcmread(recoded)
    return dataset
