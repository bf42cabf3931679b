"""Encoders of data sets: arguments set what matters to a test, the rest is a small mammogram."""

import warnings
import zlib

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

MG = "1.2.840.10008.5.1.4.1.1.1.2"
IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def mammogram(sop_instance_uid: str, pixel_bytes: int = 0, **values: object) -> Dataset:
    """Return an MG data set of study 1.2.3 without file meta information."""
    dataset = Dataset()
    given: dict[str, object] = {"SOPClassUID": MG, "SOPInstanceUID": sop_instance_uid, "Modality": "MG"}
    given |= {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"} | values
    if pixel_bytes:
        given |= {"BitsAllocated": 16, "PixelData": bytes(pixel_bytes)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests need wrong values
        for keyword, value in given.items():
            setattr(dataset, keyword, value)
    return dataset


def encode(dataset: Dataset, transfer_syntax_uid: str = EXPLICIT_LITTLE) -> bytes:
    """Encode the data set as an association transfers it."""
    encoded = DicomBytesIO()
    encoded.is_little_endian = transfer_syntax_uid != EXPLICIT_BIG
    encoded.is_implicit_VR = transfer_syntax_uid == IMPLICIT_LITTLE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(encoded, dataset)
    return deflate(encoded.getvalue()) if transfer_syntax_uid == DEFLATED else encoded.getvalue()


def deflate(data: bytes) -> bytes:
    """Deflate data (PS3.5 A.5, RFC 1951) and pad it to an even length."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflater.compress(data) + deflater.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def data_set(sop_instance_uid: str, pixel_bytes: int = 0, **values: object) -> bytes:
    """Encode a small mammogram in Explicit VR Little Endian."""
    return encode(mammogram(sop_instance_uid, pixel_bytes, **values))
