"""What a stored data set says before its pixel data, read within bounds and without reading the pixels."""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from glam_node.node.errors import PermanentError

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

# Headers of mammograms have some 20 KB and 1,000 reads, segmentations of many frames hundreds of times that.
MAXIMUM_READS = 500_000
MAXIMUM_HEADER_BYTES = 16 * 2**20
LONGEST_VALUE = 2**20
"""A longer value (bytes) is passed over."""
MAXIMUM_INFLATED_BYTES = 512 * 2**20

# Float, Double Float and integer Pixel Data
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _SEQUENCE_DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_TOO_SHORT = "the data set ends too early"


class UnreadableDataSet(PermanentError):
    """The data set is cut, damaged or absurd; the message says which, in plain words."""


def read_header(path: Path, offset: int, transfer_syntax_uid: str) -> Dataset:
    """The elements before the pixel data of the data set that begins at byte `offset` of a file.

    Pixel data that are shorter than they say count as cut. Raises UnreadableDataSet, OSError when the disk fails.
    """
    with path.open("rb") as file:
        file.seek(offset)
        try:
            return _read(file, path.stat().st_size, transfer_syntax_uid)
        except UnreadableDataSet:
            raise
        except Exception as error:  # pydicom raises what its parsing meets: RecursionError, zlib.error ...
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if isinstance(error, OSError | struct.error):
                raise UnreadableDataSet(_TOO_SHORT) from error
            raise UnreadableDataSet(f"the data set is damaged ({type(error).__name__})") from error


def _read(file: BinaryIO, size: int, transfer_syntax_uid: str) -> Dataset:
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        beginning, size = _inflated(file)
        file = io.BytesIO(beginning)
    bounded = _Bounded(file, size)
    little_endian = transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    pixel_length: list[int] = []

    def at_pixel_data(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's call
        if tag in _PIXEL_DATA:
            pixel_length.append(length)
            bounded.value_begins = bounded.tell()
        return tag in _PIXEL_DATA

    header = read_dataset(
        cast(BinaryIO, bounded),
        transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN,
        little_endian,
        stop_when=at_pixel_data,
        defer_size=LONGEST_VALUE,
    )
    if pixel_length:
        _refuse_cut_pixel_data(bounded, pixel_length[0], "<" if little_endian else ">")
    elif not bounded.ended_between_elements:
        raise UnreadableDataSet(_TOO_SHORT)
    if not len(header):
        raise UnreadableDataSet("the data set has no elements")
    return header


def _refuse_cut_pixel_data(bounded: "_Bounded", length: int, byte_order: str) -> None:
    if length != _UNDEFINED_LENGTH:
        bounded.seek(bounded.value_begins + length)
        return
    bounded.seek(bounded.value_begins)
    while True:
        group, element, length = struct.unpack(f"{byte_order}HHI", bounded.read(8))
        if (group, element) == _SEQUENCE_DELIMITER:
            return
        if (group, element) != _ITEM:
            raise UnreadableDataSet("the fragments of the pixel data are damaged")
        bounded.seek(bounded.tell() + length)


def _inflated(file: BinaryIO) -> tuple[bytes, int]:
    """The first bytes, more than any header has, of what the rest of the file inflates to, and how much that is."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    beginning, size = bytearray(), 0
    while not inflater.eof:
        deflated = inflater.unconsumed_tail or file.read(65_536)
        piece = inflater.decompress(deflated, 2**20)
        if not deflated and not piece:
            raise UnreadableDataSet(_TOO_SHORT)
        size += len(piece)
        if size > MAXIMUM_INFLATED_BYTES:
            raise UnreadableDataSet("the deflated data set is absurdly large when inflated")
        if len(beginning) < MAXIMUM_HEADER_BYTES:
            beginning += piece
    return bytes(beginning), size


class _Bounded:
    """A file for pydicom that is read so much and no further, and that knows whether it ended where it may."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._reads = MAXIMUM_READS
        self._bytes = MAXIMUM_HEADER_BYTES
        self._short: list[int] = []
        self.tell = file.tell
        self.value_begins = 0

    @property
    def ended_between_elements(self) -> bool:
        """Whether the one read that met the end found nothing at all where an element would begin."""
        return self._short == [0]

    def read(self, count: int) -> bytes:
        """At most `count` bytes."""
        self._reads -= 1
        if self._reads < 0 or count > self._bytes:
            raise UnreadableDataSet("the header is absurdly large")
        data = self._file.read(count)
        self._bytes -= len(data)
        if len(data) < count:
            self._short.append(len(data))
        return data

    def seek(self, position: int) -> int:
        """Go to `position`, which must be within the file."""
        if position > self._size:
            raise UnreadableDataSet(_TOO_SHORT)
        self._short.clear()
        return self._file.seek(position)
