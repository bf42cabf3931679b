"""Checks of a compressed image's own headers, made before a decoder written in C reads it.

Decoders accept truncated images and fill the rest with grey, and some crash the process on impossible headers. Both
kinds of image must be refused.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from glam_node.inference.errors import UnsupportedMammogram

_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
_JPEG2000_START = b"\xff\x4f\xff\x51"

# ITU-T T.81 Table B.1 and T.87: the frame headers of the processes that DICOM uses
_BASELINE, _EXTENDED, _LOSSLESS, _JPEG_LS = 0xC0, 0xC1, 0xC3, 0xF7
_FRAME_HEADERS = frozenset({_BASELINE, _EXTENDED, _LOSSLESS, _JPEG_LS})
_HUFFMAN_TABLES, _QUANTISATION_TABLES, _START_OF_SCAN, _RESTART_INTERVAL, _JPEG_LS_PRESET = 0xC4, 0xDB, 0xDA, 0xDD, 0xF8
_ESSENTIAL = _FRAME_HEADERS | {
    _HUFFMAN_TABLES,
    _QUANTISATION_TABLES,
    _START_OF_SCAN,
    _RESTART_INTERVAL,
    _JPEG_LS_PRESET,
}
_APPLICATION_DATA_AND_COMMENTS = frozenset({*range(0xE0, 0xF0), 0xFE})
_TABLES_NEEDED = {
    _BASELINE: {_HUFFMAN_TABLES, _QUANTISATION_TABLES},
    _EXTENDED: {_HUFFMAN_TABLES, _QUANTISATION_TABLES},
    _LOSSLESS: {_HUFFMAN_TABLES},
    _JPEG_LS: set(),
}
_RESTARTS = range(0xD0, 0xD8)


def check_codestream(frame: bytes, rows: int, columns: int, bits_allocated: int) -> None:
    """Raise UnsupportedMammogram when a JPEG, JPEG-LS or JPEG 2000 frame is truncated, damaged or of another size.

    A frame of another format is not checked.

    Args:
        frame: The encoded frame.
        rows: Rows (0028,0010) of the image.
        columns: Columns (0028,0011) of the image.
        bits_allocated: Bits Allocated (0028,0100) of the image, which the frame may not exceed.
    """
    try:
        if frame.startswith(_START_OF_IMAGE):
            header = _jpeg_header(frame)
        elif frame.startswith(_JPEG2000_START):
            header = _jpeg2000_header(frame)
        else:
            return
    except (struct.error, IndexError) as error:
        raise UnsupportedMammogram("The compressed image is damaged.") from error
    if not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise UnsupportedMammogram("The compressed image is cut short: its end is missing.")
    if (header.rows, header.columns, header.components) != (rows, columns, 1):
        raise UnsupportedMammogram(
            f"The compressed image has {header.rows} x {header.columns} pixels with {header.components} components; "
            f"the DICOM header states {rows} x {columns} with 1."
        )
    if not 1 < header.bits <= bits_allocated:
        raise UnsupportedMammogram(
            f"The compressed image has {header.bits} bits; the DICOM header allows {bits_allocated}."
        )


def essential_jpeg(frame: bytes) -> bytes:
    """Return a checked JPEG frame without application data and comments, which GDCM cannot always read."""
    kept, end = [_START_OF_IMAGE], len(frame)
    for marker, offset, end in _segments(frame):
        if marker in _ESSENTIAL:
            kept.append(frame[offset:end])
    return b"".join([*kept, frame[end:]])


class _FrameHeader(NamedTuple):
    """The size of a compressed image by its own header."""

    rows: int
    columns: int
    bits: int
    components: int


def _jpeg2000_header(frame: bytes) -> _FrameHeader:
    """Return the size that the SIZ segment states (ISO/IEC 15444-1 A.5.1)."""
    width, height, left, top = struct.unpack_from(">4I", frame, 8)
    components, depth = struct.unpack_from(">HB", frame, 40)
    return _FrameHeader(height - top, width - left, (depth & 0x7F) + 1, components)


def _jpeg_header(frame: bytes) -> _FrameHeader:
    """Return the size that the frame header states, and check every segment of the stream."""
    header, process, seen = None, None, set()
    for marker, offset, _ in _segments(frame):
        if marker not in _ESSENTIAL | _APPLICATION_DATA_AND_COMMENTS:
            raise UnsupportedMammogram("The compressed image is damaged: a marker is not one of a still image.")
        seen.add(marker)
        if marker in _FRAME_HEADERS and header is None:
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, offset + 4)
            header, process = _FrameHeader(rows, columns, bits, components), marker
        if marker == _START_OF_SCAN:
            _check_scan(frame, offset)
    if header is None or process is None or _START_OF_SCAN not in seen or not _TABLES_NEEDED[process] <= seen:
        raise UnsupportedMammogram("The compressed image is damaged: a part of its header is missing.")
    return header


def _segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, offset and end of every segment, up to and including the header of the first scan."""
    offset = 2
    while True:
        if frame[offset] != 0xFF:
            raise UnsupportedMammogram("The compressed image is damaged: a marker is missing.")
        marker = frame[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        end = offset + 2 + int(struct.unpack_from(">H", frame, offset + 2)[0])
        yield marker, offset, end
        if marker == _START_OF_SCAN:
            return
        offset = end


def _check_scan(frame: bytes, offset: int) -> None:
    """Check that the scan at `offset` has one component and contains no markers except restarts and the end."""
    (length,) = struct.unpack_from(">H", frame, offset + 2)
    data = offset + 2 + int(length)
    if frame[offset + 4] != 1:
        raise UnsupportedMammogram("The compressed image is damaged: its scan does not have exactly one component.")
    found = frame.find(b"\xff", data)
    while found != -1 and found + 1 < len(frame):
        follower = frame[found + 1]
        if follower == _END_OF_IMAGE[1]:
            return
        if follower & 0x80 and follower not in _RESTARTS and follower != 0xFF:
            raise UnsupportedMammogram("The compressed image is damaged: there is a marker within its data.")
        found = frame.find(b"\xff", found + 1)
