"""Headers of stored data sets, read in bounded memory and without the pixel data.

All elements are scanned, and public ones are kept up to a limit. So a sender may add any amount of other elements.
"""

import io
import struct
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import blake3
import structlog
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from glam_node.inference.bounded_dataset import MAXIMUM_INFLATED_BYTES, inflate
from glam_node.inference.character_set import correct_character_set
from glam_node.inference.encoded_elements import (
    LONG,
    PIXEL_DATA,
    Element,
    EndlessDataSet,
    Source,
    UnreadableDataSet,
    elements,
)

__all__ = ["UnreadableDataSet", "read_header", "read_stored_header"]

log = structlog.get_logger(__name__)

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

MAXIMUM_HEADER_BYTES = 2**18
"""Maximum size in bytes of all kept elements; further ones are left out. Headers of mammograms have about 20 KB."""
# SOP Class, SOP Instance, Patient ID, Study and Series: these elements are kept even beyond the limit.
_IDENTIFYING = frozenset({0x00080016, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E})
_LONGEST_IDENTIFYING = 1024
_PREAMBLE, _FIRST_META_ELEMENT = 132, 12
_TRANSFER_SYNTAX = 0x00020010


def read_header(path: Path, offset: int, transfer_syntax_uid: str) -> Dataset:
    """Return the public elements before the pixel data of a data set in a file.

    Args:
        path: The file.
        offset: The position in bytes where the data set begins.
        transfer_syntax_uid: The transfer syntax of the data set.

    Raises:
        UnreadableDataSet: The data set, including its pixel data, is cut short or damaged.
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        try:
            return _read(file, offset, path.stat().st_size, transfer_syntax_uid, path.parent)
        except UnreadableDataSet:
            raise
        except zlib.error as error:
            raise UnreadableDataSet("the deflated data set is damaged") from error


def read_stored_header(path: Path) -> Dataset:
    """Return the public elements before the pixel data of a DICOM file.

    Raises:
        UnreadableDataSet: The file has no file meta information, or the data set is cut or damaged.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        end = _end_of_meta(file)
        meta = Source(file, _PREAMBLE + _FIRST_META_ELEMENT, min(end, path.stat().st_size))
        values = {
            element.tag: meta.read(element.value, element.end - element.value)
            for element in elements(meta, "<", is_implicit=False)
            if element.tag == _TRANSFER_SYNTAX
        }
    syntax = values.get(_TRANSFER_SYNTAX, b"").decode("ascii", "replace").strip("\0 ")
    return read_header(path, end, syntax)


def digest_of_data_set(path: Path) -> str:
    """Return the BLAKE3 in hex of the encoded data set in a file, as it is computed when a data set is received.

    If the file meta information does not state its length, the digest covers the whole file. Raises OSError.
    """
    digest = blake3.blake3()
    with path.open("rb") as file:
        try:
            file.seek(_end_of_meta(file))
        except UnreadableDataSet:
            file.seek(0)
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _end_of_meta(file: BinaryIO) -> int:
    """Return the position of the data set in a file with file meta information. Raises UnreadableDataSet."""
    head = file.read(_PREAMBLE + _FIRST_META_ELEMENT)
    if len(head) < _PREAMBLE + _FIRST_META_ELEMENT or head[128:138] != b"DICM\2\0\0\0UL":
        raise UnreadableDataSet("the file has no file meta information")
    return len(head) + int(struct.unpack_from("<I", head, _PREAMBLE + 8)[0])


def _read(file: BinaryIO, offset: int, size: int, transfer_syntax_uid: str, directory: Path) -> Dataset:
    if transfer_syntax_uid != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return _header(Source(file, offset, size), transfer_syntax_uid)
    file.seek(offset)
    with tempfile.TemporaryFile(dir=directory, buffering=0) as inflated:
        return _header(Source(inflated, 0, inflate(file, inflated, MAXIMUM_INFLATED_BYTES)), transfer_syntax_uid)


def _header(source: Source, transfer_syntax_uid: str) -> Dataset:
    is_implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    byte_order = ">" if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "<"
    kept, room, count = dict[int, Element](), MAXIMUM_HEADER_BYTES, 0
    try:
        for element in elements(source, byte_order, is_implicit=is_implicit):
            count += 1
            length = element.end - element.start
            if _is_wanted(element.tag, length, room):
                room -= length
                kept[element.tag] = element
    except EndlessDataSet as error:
        if not kept.keys() >= _IDENTIFYING - {0x00100020}:
            raise
        log.warning("header_not_read_to_its_end", reason=str(error))
    if not count:
        raise UnreadableDataSet("the data set has no elements")
    return _decoded(source, kept.values(), byte_order, is_implicit)


def _is_wanted(tag: int, length: int, room: int) -> bool:
    """Return whether to keep an element: it is public, not a group length or pixel data, and fits into `room` bytes."""
    if tag in _IDENTIFYING:
        return length <= _LONGEST_IDENTIFYING
    return (
        tag in DicomDictionary and tag & 0xFFFF != 0 and tag >= 0x00080000 and tag not in PIXEL_DATA and length <= room
    )


def _decoded(source: Source, kept: Iterable[Element], byte_order: str, is_implicit: bool) -> Dataset:
    """Decode the kept elements; if this fails, decode them without the sequences."""
    in_order = sorted(kept, key=lambda element: element.tag)
    flat = [element for element in in_order if element.is_defined and DicomDictionary[element.tag][0] != "SQ"]
    for chosen in (in_order, flat):
        encoded = b"".join(_encoded(source, element, byte_order, is_implicit) for element in chosen)
        try:
            dataset = read_dataset(io.BytesIO(encoded), is_implicit, byte_order == "<")
            correct_character_set(dataset)
            return dataset
        except Exception as error:  # the parser of pydicom may raise anything, such as RecursionError, struct.error
            failure = type(error).__name__
    raise UnreadableDataSet(f"the data set is damaged ({failure})")


def _encoded(source: Source, element: Element, byte_order: str, is_implicit: bool) -> bytes:
    """Return the encoded element, with the VR of the data dictionary if it states none in Explicit VR."""
    if element.vr or is_implicit:
        window, at = source.window(element.start, element.end - element.start)
        return window[at : at + element.end - element.start]
    value = source.read(element.value, element.end - element.value)
    vr = DicomDictionary[element.tag][0][:2].encode("ascii")
    head = struct.pack(f"{byte_order}HH2s", element.tag >> 16, element.tag & 0xFFFF, vr)
    is_long = vr in LONG
    return head + struct.pack(f"{byte_order}{'HI' if is_long else 'H'}", *([0] if is_long else []), len(value)) + value
