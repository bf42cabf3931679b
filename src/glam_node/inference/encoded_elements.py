"""Iteration over the elements of an encoded data set without decoding them (PS3.5 section 7).

Memory use does not depend on the data set. Errors of encoding that leave no doubt where the next element begins are
ignored, as by DCMTK.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from glam_node.inference.errors import InferenceError

UNDEFINED = 0xFFFFFFFF
_WINDOW = 65_536
_DEEPEST = 2**20
"""Maximum depth of nested sequences and items; each level takes one byte of memory."""
_MOST_STEPS = 1_000_000
"""Maximum number of elements and items of one data set, including those in sequences of undefined length."""

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = frozenset({_ITEM, _ITEM_END, _SEQUENCE_END})
# Float, Double Float and integer Pixel Data
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
# PS3.5 Table 7.1-1: VRs whose length field has 32 bits after two reserved bytes; that of the others has 16 bits.
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
# Flags of one level of nesting: an item is open; its elements are in Implicit VR
_IN_ITEM, _IMPLICIT = 1, 2
CUT = "the data set ends too early"
_DAMAGED = "the data set is damaged"


class UnreadableDataSet(InferenceError):
    """The data set is cut, damaged, or far too large or deep; the message says which."""


class EndlessDataSet(UnreadableDataSet):
    """The data set has more elements or levels than are read; the elements before that were returned."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the outermost level; positions are in bytes from the start of the data set."""

    tag: int
    vr: bytes
    """The VR as encoded; empty in Implicit VR and if the element states none."""
    start: int
    value: int
    """The position of the value."""
    end: int
    is_defined: bool
    """Whether the element has a defined length."""


class Source:
    """A data set in a file, read through a window of bounded size."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self._file = file
        self._begin = begin
        self.size = end - begin
        self._window, self._at = b"", 0

    def window(self, position: int, count: int) -> tuple[bytes, int]:
        """Return a window with `count` bytes from `position`, and the index of `position` in it.

        Raises:
            UnreadableDataSet: The data set ends before these bytes do.
        """
        if position < self._at or position + count > self._at + len(self._window):
            if position + count > self.size:
                raise UnreadableDataSet(CUT)
            self._window, self._at = self.read(position, max(_WINDOW, count)), position
            if len(self._window) < count:
                raise UnreadableDataSet(CUT)
        return self._window, position - self._at

    def read(self, position: int, count: int) -> bytes:
        """Return `count` bytes from `position`, fewer at the end of the data set."""
        self._file.seek(self._begin + position)
        return self._file.read(min(count, self.size - position))

    def is_zero_from(self, position: int) -> bool:
        """Return whether all bytes from `position` on are zero."""
        while position < self.size:
            piece = self.read(position, _WINDOW)
            if not piece or piece.count(0) != len(piece):
                return False
            position += len(piece)
        return True


def elements(source: Source, byte_order: str, *, is_implicit: bool) -> Iterator[Element]:
    """Yield the elements of the outermost level up to the pixel data.

    Args:
        source: The data set.
        byte_order: "<" or ">", as in formats of `struct`.
        is_implicit: Whether the data set is in Implicit VR.

    Raises:
        UnreadableDataSet: The data set is cut or damaged.
        EndlessDataSet: The data set has too many elements or levels.
    """
    walk = _Walk(source, byte_order)
    position, size = 0, source.size
    while position < size:
        if size - position < 8:
            if source.is_zero_from(position):
                return
            raise UnreadableDataSet(CUT)
        tag, vr, value, length = walk.head(position, is_implicit)
        if tag in _DELIMITERS:
            position += 8
        elif tag < 0x00010000 and source.is_zero_from(position):
            return
        else:
            end = walk.end(tag, vr, value, length, is_implicit)
            yield Element(tag, vr, position, value, end, length != UNDEFINED)
            if tag in PIXEL_DATA:
                return
            position = end


class _Walk:
    """A parser of element headers that counts them and finds the end of each element."""

    def __init__(self, source: Source, byte_order: str) -> None:
        self._source = source
        self._byte_order = byte_order
        self._steps = 0

    def head(self, position: int, is_implicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, VR, position and length of the value of the element at `position`."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise EndlessDataSet(f"the data set has more than {_MOST_STEPS} elements and items")
        order = "<" if is_implicit else self._byte_order
        window, at = self._source.window(position, 8)
        group, number, length = struct.unpack_from(f"{order}HHI", window, at)
        tag = group << 16 | number
        if is_implicit or group == 0xFFFE:
            return tag, b"", position + 8, length
        vr = window[at + 4 : at + 6]
        if vr in _SHORT:
            return tag, vr, position + 8, struct.unpack_from(f"{order}H", window, at + 6)[0]
        if vr in LONG:
            window, at = self._source.window(position, 12)
            return tag, vr, position + 12, struct.unpack_from(f"{order}I", window, at + 8)[0]
        return tag, b"", *self._odd_length(position, tag, vr)

    def _odd_length(self, position: int, tag: int, vr: bytes) -> tuple[int, int]:
        """Return position and length of the value of an element whose VR is unknown.

        The VR may come from a later edition of the standard (length of 32 bits after two bytes), be damaged (length of
        16 bits), or be absent as in Implicit VR. The first of these after which another element may begin is taken.
        """
        window, at = self._source.window(position, 8)
        order = self._byte_order
        short = position + 8, int(struct.unpack_from(f"{order}H", window, at + 6)[0])
        absent = position + 8, int(struct.unpack_from(f"{order}I", window, at + 4)[0])
        ways = [short, absent] if vr.isascii() and (vr.decode().isprintable() or vr == b"\0\0") else [absent, short]
        if vr.isalpha() and vr.isupper() and position + 12 <= self._source.size:
            window, at = self._source.window(position, 12)
            ways.insert(0, (position + 12, int(struct.unpack_from(f"{order}I", window, at + 8)[0])))
        return next((way for way in ways if self._may_end_at(way, tag)), ways[0])

    def _may_end_at(self, way: tuple[int, int], tag: int) -> bool:
        """Return whether the data set ends after such a value, or a greater tag or a delimitation follows."""
        value, length = way
        end = value + length
        if length == UNDEFINED or end == self._source.size:
            return True
        if end + 8 > self._source.size:
            return False
        group, number = struct.unpack(f"{self._byte_order}HH", self._source.read(end, 4))
        return bool(tag < group << 16 | number)

    def end(self, tag: int, vr: bytes, value: int, length: int, is_implicit: bool) -> int:
        """Return the position after an element. Raises UnreadableDataSet if the end cannot be found."""
        if length != UNDEFINED:
            return self._within(value + length)
        if vr not in (b"", b"SQ", b"UN") and tag not in PIXEL_DATA and vr not in (b"OB", b"OW"):
            raise UnreadableDataSet(_DAMAGED)
        return self._end_of_sequence(value, is_implicit or vr == b"UN")

    def _within(self, end: int) -> int:
        if end > self._source.size:
            raise UnreadableDataSet(CUT)
        return end

    def _end_of_sequence(self, position: int, is_implicit: bool) -> int:
        """Return the position after a sequence of undefined length, whose first item is at `position`."""
        levels = bytearray([_IMPLICIT if is_implicit else 0])
        while levels:
            if len(levels) > _DEEPEST:
                raise EndlessDataSet("the sequences of the data set are nested without an end")
            level = levels[-1]
            tag, vr, value, length = self.head(position, bool(level & _IMPLICIT))
            if tag in _DELIMITERS:
                position = self._delimited(levels, tag, position, value, length)
            elif not level & _IN_ITEM:
                raise UnreadableDataSet(_DAMAGED)
            elif length == UNDEFINED:
                levels.append(level & _IMPLICIT | (_IMPLICIT if vr == b"UN" else 0))
                position = value
            else:
                position = self._within(value + length)
        return position

    def _delimited(self, levels: bytearray, tag: int, position: int, value: int, length: int) -> int:
        """Update `levels` for an item or a delimitation, which may be stray; return the position of the next header."""
        in_item = levels[-1] & _IN_ITEM
        if tag == _ITEM and not in_item:
            if length != UNDEFINED:
                return self._within(value + length)
            levels.append(levels[-1] | _IN_ITEM)
            return value
        if in_item:
            levels.pop()
        if tag == _SEQUENCE_END:
            levels.pop()
        # If the delimitation of the previous item is missing, close that item and read the same header again.
        return position if tag == _ITEM else value
