"""Headers of stored data sets, read within bounds whatever shape the data set has, and without reading the pixels.

Every element is passed over, and those that somebody may ask for are kept: there is a limit on what is needed, and none
on what a sender puts beside it.
"""

import io
import struct
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import structlog
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from glam_node.node.storage.elements import (
    CUT,
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
"""Of all elements that are kept; headers of mammograms have some 20 KB. Elements beyond are passed over."""
MAXIMUM_INFLATED_BYTES = 512 * 2**20
# SOP Class and Instance, Patient ID, Study and Series: kept however much comes before them.
_IDENTIFYING = frozenset({0x00080016, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E})
_LONGEST_IDENTIFYING = 1024
_PREAMBLE, _FIRST_META_ELEMENT = 132, 12
_TRANSFER_SYNTAX = 0x00020010


def read_header(path: Path, offset: int, transfer_syntax_uid: str) -> Dataset:
    """Return the public elements before the pixel data of the data set that begins at byte `offset` of a file.

    Pixel data that are shorter than they say count as cut. Raises UnreadableDataSet, OSError when the disk fails.
    """
    with path.open("rb", buffering=0) as file:
        try:
            return _read(file, offset, path.stat().st_size, transfer_syntax_uid, path.parent)
        except UnreadableDataSet:
            raise
        except zlib.error as error:
            raise UnreadableDataSet("the deflated data set is damaged") from error


def read_stored_header(path: Path) -> Dataset:
    """Return the same of a file with file meta information in front. Raises UnreadableDataSet, OSError."""
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + _FIRST_META_ELEMENT)
        if len(head) < _PREAMBLE + _FIRST_META_ELEMENT or head[128:138] != b"DICM\2\0\0\0UL":
            raise UnreadableDataSet("the file has no file meta information")
        begin = len(head)
        end = begin + int(struct.unpack_from("<I", head, _PREAMBLE + 8)[0])
        meta = Source(file, begin, min(end, path.stat().st_size))
        values = {
            element.tag: meta.read(element.value, element.end - element.value)
            for element in elements(meta, "<", is_implicit=False)
            if element.tag == _TRANSFER_SYNTAX
        }
    syntax = values.get(_TRANSFER_SYNTAX, b"").decode("ascii", "replace").strip("\0 ")
    return read_header(path, end, syntax)


def _read(file: BinaryIO, offset: int, size: int, transfer_syntax_uid: str, directory: Path) -> Dataset:
    if transfer_syntax_uid != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return _header(Source(file, offset, size), transfer_syntax_uid)
    file.seek(offset)
    with tempfile.TemporaryFile(dir=directory, buffering=0) as inflated:
        return _header(Source(inflated, 0, _inflate(file, inflated)), transfer_syntax_uid)


def _inflate(file: BinaryIO, to: BinaryIO) -> int:
    """Return how many bytes the rest of the file inflates to, which are in `to` then; what comes behind is ignored."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof:
        deflated = inflater.unconsumed_tail or file.read(65_536)
        piece = inflater.decompress(deflated, 2**20)
        if not deflated and not piece:
            raise UnreadableDataSet(CUT)
        size += len(piece)
        if size > MAXIMUM_INFLATED_BYTES:
            raise UnreadableDataSet("the deflated data set is absurdly large when inflated")
        to.write(piece)
    return size


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
    """Return whether an element is of the standard and fits; no file meta information, group length or pixel data."""
    if tag in _IDENTIFYING:
        return length <= _LONGEST_IDENTIFYING
    return (
        tag in DicomDictionary and tag & 0xFFFF != 0 and tag >= 0x00080000 and tag not in PIXEL_DATA and length <= room
    )


def _decoded(source: Source, kept: Iterable[Element], byte_order: str, is_implicit: bool) -> Dataset:
    """Return the elements that were kept; without the sequences where one of these cannot be decoded."""
    in_order = sorted(kept, key=lambda element: element.tag)
    flat = [element for element in in_order if element.is_defined and DicomDictionary[element.tag][0] != "SQ"]
    for chosen in (in_order, flat):
        encoded = b"".join(_encoded(source, element, byte_order, is_implicit) for element in chosen)
        try:
            return read_dataset(io.BytesIO(encoded), is_implicit, byte_order == "<")
        except Exception as error:  # pydicom raises what its parsing meets: RecursionError, struct.error ...
            failure = type(error).__name__
    raise UnreadableDataSet(f"the data set is damaged ({failure})")


def _encoded(source: Source, element: Element, byte_order: str, is_implicit: bool) -> bytes:
    """Return an element as it stands in the data set, with the VR of the standard where it states none."""
    if element.vr or is_implicit:
        window, at = source.window(element.start, element.end - element.start)
        return window[at : at + element.end - element.start]
    value = source.read(element.value, element.end - element.value)
    vr = DicomDictionary[element.tag][0][:2].encode("ascii")
    head = struct.pack(f"{byte_order}HH2s", element.tag >> 16, element.tag & 0xFFFF, vr)
    is_long = vr in LONG
    return head + struct.pack(f"{byte_order}{'HI' if is_long else 'H'}", *([0] if is_long else []), len(value)) + value
