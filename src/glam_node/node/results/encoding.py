"""A fast encoder of data sets, whose files equal those of pydicom's writer byte for byte.

A report has thousands of small elements, which pydicom inspects many times each; and pydicom copies pixel data. Rare
cases (undefined lengths, person names, character sets with escape sequences) are left to pydicom.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

from pydicom.charset import convert_encodings, encode_string
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset, validate_file_meta
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, dcmwrite, write_data_element
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import AMBIGUOUS_VR, EXPLICIT_VR_LENGTH_32

_GROUP_LENGTH_BYTES = 12
"""Size of the element FileMetaInformationGroupLength, which the length does not include."""
_ASCII_COMPATIBLE = ("iso8859", "latin_1", "utf8")


def encoded_file(dataset: Dataset) -> Iterator[bytes]:
    """Yield the parts of the DICOM file (PS3.10 7.1) that holds `dataset`.

    Files in other transfer syntaxes than Explicit VR Little Endian come in one part, encoded by pydicom.
    """
    if dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
        yield _encoded_head(dataset.file_meta)
        yield from _encoded(dataset, ["iso8859"], [])
    else:
        file = BytesIO()
        dcmwrite(file, dataset, enforce_file_format=True)
        yield file.getvalue()


def _encoded_head(meta: FileMetaDataset) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 7.1)."""
    validate_file_meta(meta, enforce_standard=True)
    meta.FileMetaInformationGroupLength = 0
    length = len(b"".join(_encoded(meta, ["iso8859"], []))) - _GROUP_LENGTH_BYTES
    meta.FileMetaInformationGroupLength = length
    return b"\0" * 128 + b"DICM" + b"".join(_encoded(meta, ["iso8859"], []))


def _encoded(dataset: Dataset, encodings: list[str], above: list[Dataset]) -> Iterator[bytes]:
    """Yield the encoded elements of a data set.

    Args:
        dataset: The data set.
        encodings: The Python codecs of the enclosing data set, used if this one states no Specific Character Set.
        above: The enclosing data sets, innermost first; an ambiguous VR may depend on them.
    """
    above = [dataset, *above]
    if "SpecificCharacterSet" in dataset:
        encodings = convert_encodings(dataset.SpecificCharacterSet)
    for tag in sorted(dataset.keys()):
        element = dataset[tag]
        if element.VR in AMBIGUOUS_VR:
            correct_ambiguous_vr_element(element, dataset, True, above)
        value = _items(element, encodings, above) if element.VR == "SQ" else _value(element, encodings)
        if value is None:
            yield _by_pydicom(element, encodings)
            continue
        if len(value) % 2:
            value += b"\0" if element.VR in ("UI", "OB", "UN") else b" "
        yield _head(element, len(value))
        yield value


def _head(element: DataElement, length: int) -> bytes:
    """Return the encoded tag, VR and length of an element (PS3.5 7.1.2)."""
    tag, vr = element.tag, element.VR.encode("ascii")
    if element.VR in EXPLICIT_VR_LENGTH_32:
        return struct.pack("<HH2sHL", tag.group, tag.element, vr, 0, length)
    return struct.pack("<HH2sH", tag.group, tag.element, vr, length)


def _value(element: DataElement, encodings: list[str]) -> bytes | None:
    """Return the encoded value without padding, or None if pydicom must encode it or raise the error."""
    encode = _ENCODERS.get(element.VR)
    if encode is None or element.is_undefined_length:
        return None
    if element.is_empty:
        return b""
    value = element.value
    encoded = encode(list(value) if isinstance(value, MultiValue | list) else [value], encodings)
    too_long = encoded is not None and len(encoded) > 65534 and element.VR not in EXPLICIT_VR_LENGTH_32
    return None if too_long else encoded


def _items(element: DataElement, encodings: list[str], above: list[Dataset]) -> bytes | None:
    """Return the encoded items of a sequence (PS3.5 7.5), or None if pydicom must encode it."""
    if element.is_undefined_length or any(item.is_undefined_length_sequence_item for item in element.value):
        return None
    parts = []
    for item in element.value:
        encoded = b"".join(_encoded(item, encodings, above))
        parts += [struct.pack("<HHL", 0xFFFE, 0xE000, len(encoded)), encoded]
    return b"".join(parts)


def _by_pydicom(element: DataElement, encodings: list[str]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_data_element(buffer, element, encodings)
    return buffer.getvalue()


def _plain(values: list[Any], _: list[str]) -> bytes | None:
    if not all(isinstance(value, str) for value in values):
        return None
    return "\\".join(values).encode("iso8859")


def _text(values: list[Any], encodings: list[str]) -> bytes | None:
    if not all(isinstance(value, str) for value in values):
        return None
    if encodings[0] in _ASCII_COMPATIBLE and all(value.isascii() for value in values):
        return "\\".join(values).encode("ascii")
    return b"\\".join(encode_string(value, encodings) for value in values)


def _decimal(values: list[Any], _: list[str]) -> bytes:
    return "\\".join(getattr(value, "original_string", None) or str(value) for value in values).encode("ascii")


def _binary(form: str) -> Callable[[list[Any], list[str]], bytes]:
    def encode(values: list[Any], _: list[str]) -> bytes:
        return struct.pack(f"<{len(values)}{form}", *values)

    return encode


def _bytes(values: list[Any], _: list[str]) -> bytes | None:
    (value,) = values
    return value if isinstance(value, bytes) else None


_ENCODERS: Mapping[str, Callable[[list[Any], list[str]], bytes | None]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _plain),
    **dict.fromkeys(("LO", "SH", "UC", "UT", "LT", "ST"), _text),
    **dict.fromkeys(("DS", "IS"), _decimal),
    **{vr: _binary(form) for vr, form in {"FL": "f", "FD": "d", "US": "H", "SS": "h", "UL": "L", "SL": "l"}.items()},
    **dict.fromkeys(("OB", "OW", "UN"), _bytes),
}
