"""Reading of DICOM files without the elements that no image needs, so that no sender can make it use much memory."""

import bisect
import io
import tempfile
import zlib
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from glam_node.inference.character_set import correct_character_set
from glam_node.inference.encoded_elements import (
    CUT,
    PIXEL_DATA,
    Element,
    EndlessDataSet,
    Source,
    UnreadableDataSet,
    elements,
)

MAXIMUM_INFLATED_BYTES = 512 * 2**20
MAXIMUM_STANDARD_BYTES = 4 * 2**20
"""Maximum size in bytes of all elements of the standard, apart from sequences and pixel data."""
MAXIMUM_SEQUENCE_BYTES = 2**19
"""Maximum size in bytes of all sequences of the standard; in memory, their items take about a hundred times as much."""
MAXIMUM_PRIVATE_BYTES = 2**18
MAXIMUM_TABLE_BYTES = 4 * 2**20
"""Maximum size in bytes of the look-up tables; without them the image would be read in another grey scale."""
_TABLES = frozenset({0x00283000, 0x00283010})
"""Tags of Modality LUT Sequence and VOI LUT Sequence."""
_PREAMBLE_AND_GROUP_LENGTH = 132 + 12


def read_bounded(path: Path, *, pixels: bool = True) -> FileDataset:
    """Read a DICOM file, leaving out elements beyond the maximum sizes and all after the pixel data.

    If a data set cannot be divided into elements, pydicom reads it as a whole.

    Args:
        path: The file.
        pixels: Whether to read the pixel data.

    Raises:
        UnreadableDataSet: The data set has more elements or larger look-up tables than are read, or is too large when
            inflated.
        OSError: The file cannot be read.
        Exception: pydicom cannot read the file; pydicom raises errors of many types.
    """
    meta = read_file_meta_info(path)
    syntax, group_length = meta.get("TransferSyntaxUID"), meta.get("FileMetaInformationGroupLength")
    begin = _PREAMBLE_AND_GROUP_LENGTH + int(group_length or 0)
    with path.open("rb") as file:
        if syntax == DeflatedExplicitVRLittleEndian:
            file.seek(begin)
            with tempfile.TemporaryFile() as inflated:
                kept = _kept(inflated, 0, inflate(file, inflated, MAXIMUM_INFLATED_BYTES), syntax, pixels)
                dataset = read_dataset(_opened(inflated, kept, path), is_implicit_VR=False, is_little_endian=True)
            whole = FileDataset(path, dataset, None, meta, is_implicit_VR=False, is_little_endian=True)
            whole.set_original_encoding(False, True, dataset.original_character_set)
            correct_character_set(whole)
            return whole
        size = path.stat().st_size
        kept = [(0, size)]
        if syntax is not None and group_length is not None:
            try:
                kept = _kept(file, begin, size, syntax, pixels)
            except EndlessDataSet:
                raise
            except UnreadableDataSet:
                pass
        dataset = pydicom.dcmread(_opened(file, kept, path), stop_before_pixels=not pixels)
    correct_character_set(dataset)
    return dataset


def inflate(file: BinaryIO, to: BinaryIO, maximum: int) -> int:
    """Inflate the rest of a file, ignoring bytes after the deflated data; return the number of bytes.

    Raises:
        UnreadableDataSet: The data are cut, or are more than `maximum` bytes when inflated.
        zlib.error: The data are damaged.
    """
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof:
        deflated = inflater.unconsumed_tail or file.read(65_536)
        piece = inflater.decompress(deflated, 2**20)
        if not deflated and not piece:
            raise UnreadableDataSet(CUT)
        size += len(piece)
        if size > maximum:
            raise UnreadableDataSet(f"the data set would inflate to more than {maximum >> 20} MiB")
        to.write(piece)
    return size


def _kept(file: BinaryIO, begin: int, size: int, syntax: str, pixels: bool) -> list[tuple[int, int]]:
    """Return begin and end of each part of the file to keep; the first part is everything before the data set."""
    byte_order = ">" if syntax == ExplicitVRBigEndian else "<"
    source, parts = Source(file, begin, size), [(0, begin)]
    room = {
        "private": MAXIMUM_PRIVATE_BYTES,
        "table": MAXIMUM_TABLE_BYTES,
        "sequence": MAXIMUM_SEQUENCE_BYTES,
        "other": MAXIMUM_STANDARD_BYTES,
    }
    for element in elements(source, byte_order, is_implicit=syntax == ImplicitVRLittleEndian):
        length, kind = element.end - element.start, _kind(element)
        is_kept = pixels if element.tag in PIXEL_DATA else length <= room[kind]
        if kind == "table" and not is_kept:
            raise EndlessDataSet("the look-up tables of the image are too large")
        if is_kept:
            room[kind] -= 0 if element.tag in PIXEL_DATA else length
            parts.append((begin + element.start, begin + element.end))
    return parts


def _kind(element: Element) -> str:
    if element.tag >> 16 & 1:
        return "private"
    if element.tag in _TABLES:
        return "table"
    is_sequence = element.vr == b"SQ" or DicomDictionary.get(element.tag, ("",))[0] == "SQ"
    return "sequence" if is_sequence or not element.is_defined else "other"


def _opened(file: io.BufferedIOBase, parts: list[tuple[int, int]], path: Path) -> io.BufferedReader:
    return io.BufferedReader(_Parts(file, parts, path))


class _Parts(io.RawIOBase):
    """Parts of a file, read one after another as if they were a separate file with the name of the whole."""

    def __init__(self, file: io.BufferedIOBase, parts: list[tuple[int, int]], path: Path) -> None:
        self.name = path
        self._file = file
        self._parts = parts
        self._ends = list(accumulate(end - begin for begin, end in parts))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        number = bisect.bisect_right(self._ends, self._position)
        if number == len(self._parts):
            return 0
        left = self._ends[number] - self._position
        self._file.seek(self._parts[number][1] - left)
        count = self._file.readinto(memoryview(buffer)[:left])
        self._position += count
        return count
