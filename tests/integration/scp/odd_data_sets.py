"""Data sets with one oddity each, as senders were seen to send them, encoded byte by byte."""

import struct
import zlib
from dataclasses import dataclass

from pydicom.uid import UID

from tests.data_sets import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, MG, deflate, encode, mammogram

SR, SC = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7"
INSTANCE = "1.2.3.4.5"
UNDEFINED = 0xFFFFFFFF
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR")
ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HHI", 0xFFFE, element, 0) for element in (0xE000, 0xE00D, 0xE0DD))
OPEN_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Encode an element in Explicit VR, with a false `length` if one is given."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack("<HI", 0, size) if vr in LONG else struct.pack("<H", size)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """Encode an element in Implicit VR, with a false `length` if one is given."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def uid(tag: int, value: str, pad: bytes = b"\0") -> bytes:
    """Encode a UI element, padded to an even length."""
    encoded = value.encode("latin-1")
    return element(tag, b"UI", encoded + pad * (len(encoded) % 2))


@dataclass(frozen=True, slots=True)
class Encoded:
    """One C-STORE."""

    data: bytes
    sop_class_uid: str = SR
    transfer_syntax_uid: str = EXPLICIT_LITTLE
    instance_uid: str = INSTANCE
    """Affected SOP Instance UID."""


def parts(
    sop_class: bytes = uid(0x00080016, SR),
    instance: bytes = uid(0x00080018, INSTANCE),
    study: bytes = uid(0x0020000D, "1.2.3"),
    series: bytes = uid(0x0020000E, "1.2.3.1"),
    *,
    first: bytes = b"",
    between: bytes = b"",
    last: bytes = b"",
) -> bytes:
    """Encode the data set of a small report, with bytes before, between and after its elements."""
    modality, patient = element(0x00080060, b"CS", b"SR"), element(0x00100020, b"LO", b"T1")
    return first + sop_class + instance + modality + between + patient + study + series + last


def image(between: bytes = b"", tail: bytes = b"", pixels: bytes = bytes(64)) -> Encoded:
    """Encode a small mammogram, with bytes before and after its pixel data."""
    data = parts(uid(0x00080016, MG), between=between) + element(0x7FE00010, b"OW", pixels)
    return Encoded(data + tail, MG)


def sequence(tag: int, *items: bytes, vr: bytes = b"SQ", end: bytes = SEQUENCE_END) -> bytes:
    """Encode a sequence of undefined length with items of undefined length."""
    return element(tag, vr, b"".join(OPEN_ITEM + one + ITEM_END for one in items), UNDEFINED) + end


def nested(depth: int) -> bytes:
    """Encode nested private sequences of undefined length."""
    head = element(0x00091010, b"SQ", OPEN_ITEM, UNDEFINED)
    return head * depth + (ITEM_END + SEQUENCE_END) * depth


def private_un(inner: bytes) -> bytes:
    """Encode a private UN of undefined length, which holds Implicit VR (PS3.5 6.2.2)."""
    return element(0x00091010, b"UN", OPEN_ITEM + inner + ITEM_END, UNDEFINED) + SEQUENCE_END


BLOB = element(0x7E011012, b"OB", bytes(30 * 2**20))
_WITH_PATIENT = mammogram(INSTANCE, PatientID="T1", pixel_bytes=64)

ODD = {
    "nothing odd": Encoded(parts()),
    "an image without anything odd": image(),
    # Large and private
    "30 MB in a private sequence of undefined length": Encoded(
        parts(uid(0x00080016, SC), last=element(0x7E010010, b"LO", b"VENDOR") + sequence(0x7E011010, BLOB)), SC
    ),
    "20 MB in a private sequence before the pixel data": image(
        sequence(0x00091010, element(0x00091012, b"OB", bytes(20 * 2**20)))
    ),
    "20 MB in a private element": image(element(0x00091012, b"OB", bytes(20 * 2**20))),
    "a public value of 5 MB": image(element(0x0008103E, b"UT", b"x" * 5 * 2**20)),
    "100,000 private elements": image(
        b"".join(element(0x00091000 + number % 0xFF, b"CS", b"") for number in range(100_000))
    ),
    "sequences 200 deep": image(nested(200)),
    "a sequence of 50,000 items": image(sequence(0x00081140, *[b""] * 50_000)),
    # Delimiters
    "a stray Item Delimitation Item at the end": Encoded(parts(last=ITEM_END)),
    "a stray Sequence Delimitation Item at the end": Encoded(parts(last=SEQUENCE_END)),
    "both at the end": Encoded(parts(last=ITEM_END + SEQUENCE_END)),
    "a stray Item Delimitation Item in the middle": Encoded(parts(between=ITEM_END)),
    "a stray Item Delimitation Item before the pixel data": image(ITEM_END),
    "an item delimitation with a length": Encoded(parts(last=struct.pack("<HHI", 0xFFFE, 0xE00D, 4))),
    "a sequence without its delimitation, at the end": Encoded(parts(last=sequence(0x0040A730, b"", end=b""))),
    "a sequence of defined length with its delimitation": Encoded(
        parts(last=element(0x0040A730, b"SQ", ITEM + SEQUENCE_END))
    ),
    # Data after the end
    "zeros behind the pixel data": image(tail=bytes(100)),
    "garbage behind the pixel data": image(tail=b"\xab\xcd" * 33),
    "an element behind the pixel data": image(tail=element(0xFFFCFFFC, b"OB", bytes(20))),
    "two zeros at the end": Encoded(parts(last=bytes(2))),
    "eight zeros at the end": Encoded(parts(last=bytes(8))),
    "a hundred zeros at the end": Encoded(parts(last=bytes(100))),
    "a megabyte of zeros at the end": Encoded(parts(last=bytes(2**20))),
    "a NUL at the end": Encoded(parts(last=b"\0")),
    "trailing padding": Encoded(parts(last=element(0xFFFCFFFC, b"OB", bytes(20)))),
    "garbage of three bytes at the end": Encoded(parts(last=b"\xab\xcd\xef")),
    "garbage of 33 bytes at the end": Encoded(parts(last=b"\xab\xcd\xef" * 11)),
    # Lengths and VRs
    "a value of odd length": Encoded(parts(between=element(0x0008103E, b"LO", b"ODD"))),
    "a UID of odd length": Encoded(parts(study=element(0x0020000D, b"UI", b"1.2.3"))),
    "pixel data of odd length": image(pixels=bytes(63)),
    "private UN of undefined length": image(private_un(implicit(0x00091012, b"ABCD"))),
    "private UN of undefined length in another": image(
        private_un(implicit(0x00091012, OPEN_ITEM + implicit(0x00091014, b"AB") + ITEM_END, UNDEFINED) + SEQUENCE_END)
    ),
    "a public sequence as UN of undefined length": image(
        element(0x00540220, b"UN", OPEN_ITEM + implicit(0x00080100, b"R-10242 ") + ITEM_END, UNDEFINED) + SEQUENCE_END
    ),
    "a number as text": image(element(0x00280010, b"LO", b"64")),
    "a text as a number": image(element(0x0008103E, b"US", b"\1\0")),
    "a VR of two question marks": image(struct.pack("<HH2sH", 9, 0x1012, b"??", 4) + b"ABCD"),
    "a VR of two spaces": image(struct.pack("<HH2sH", 9, 0x1012, b"  ", 4) + b"ABCD"),
    "a VR of two zeros": image(struct.pack("<HH2sH", 9, 0x1012, b"\0\0", 4) + b"ABCD"),
    "a VR of lower case": image(struct.pack("<HH2sH", 9, 0x1012, b"lo", 4) + b"ABCD"),
    "a VR of the future": image(struct.pack("<HH2sHI", 9, 0x1012, b"ZZ", 0, 4) + b"ABCD"),
    "an implicit element among explicit ones": image(implicit(0x00091012, b"ABCD")),
    "OB in 16 bits of length": image(struct.pack("<HH2sH", 9, 0x1012, b"OX", 4) + b"ABCD"),
    "an illegal value": image(element(0x00080020, b"DA", b"TODAY")),
    "bytes of another character set": image(element(0x00100010, b"PN", b"M\xfcller^\xff ")),
    # Elements that do not belong there
    "group lengths": image(element(0x00090000, b"UL", struct.pack("<I", 0))),
    "a wrong group length at the beginning": Encoded(parts(first=element(0x00080000, b"UL", struct.pack("<I", 9999)))),
    "file meta information in the data set": Encoded(
        parts(first=element(0x00020000, b"UL", struct.pack("<I", 28)) + uid(0x00020010, EXPLICIT_LITTLE))
    ),
    "command elements in the data set": Encoded(parts(first=element(0x00000002, b"UI", b"1.2.3\0"))),
    "elements in descending order": Encoded(parts(last=element(0x00080020, b"DA", b"20260102"))),
    "an element twice": Encoded(parts(last=element(0x00100020, b"LO", b"T2"))),
    "overlays and curves": image(element(0x60003000, b"OW", bytes(64)) + element(0x50003000, b"OW", bytes(64))),
    # UIDs
    "UIDs padded with a space": Encoded(
        parts(uid(0x00080016, SR, b" "), uid(0x00080018, INSTANCE, b" "), uid(0x0020000D, "1.2.3", b" "))
    ),
    "UIDs padded with several NULs": Encoded(
        parts(element(0x00080016, b"UI", SR.encode() + bytes(5)), uid(0x00080018, f"{INSTANCE}\0\0\0"))
    ),
    "UIDs with a leading space": Encoded(parts(study=uid(0x0020000D, " 1.2.3"), series=uid(0x0020000E, " 1.2.3.1"))),
    "a SOP instance UID with a leading space": Encoded(parts(instance=uid(0x00080018, " " + INSTANCE))),
    "a study UID with a leading zero": Encoded(parts(study=uid(0x0020000D, "1.02.3"))),
    "a series UID with a leading zero": Encoded(parts(series=uid(0x0020000E, "1.2.03"))),
    "an instance UID with a leading zero": Encoded(
        parts(instance=uid(0x00080018, "1.2.03.4")), instance_uid="1.2.03.4"
    ),
    # Transfer syntaxes
    "deflated, with bytes behind": Encoded(deflate(parts()) + bytes(6), transfer_syntax_uid=DEFLATED),
    "deflated with a zlib header": Encoded(zlib.compress(parts()), transfer_syntax_uid=DEFLATED),
    "implicit": Encoded(encode(_WITH_PATIENT, IMPLICIT_LITTLE), MG, IMPLICIT_LITTLE),
    "implicit with a stray delimitation": Encoded(
        encode(_WITH_PATIENT, IMPLICIT_LITTLE) + ITEM_END, MG, IMPLICIT_LITTLE
    ),
    "big endian": Encoded(encode(_WITH_PATIENT, EXPLICIT_BIG), MG, EXPLICIT_BIG),
    # Missing or wrong elements
    "an empty study UID": Encoded(parts(study=uid(0x0020000D, ""))),
    "no study UID": Encoded(parts(study=b"")),
    "no series UID": Encoded(parts(series=b"")),
    "a study UID with letters": Encoded(parts(study=uid(0x0020000D, "1.2.X"))),
    "a study UID of 80 characters": Encoded(parts(study=uid(0x0020000D, "1." + "2" * 78))),
    "no SOP class": Encoded(parts(sop_class=b"")),
    "no SOP instance": Encoded(parts(instance=b"")),
    "another SOP class": Encoded(parts(uid(0x00080016, MG))),
    "another SOP instance": Encoded(parts(instance=uid(0x00080018, "1.2.3.4.6"))),
    "an instance UID with letters": Encoded(parts(instance=uid(0x00080018, "1.2.X")), instance_uid="1.2.X"),
    "cut in a value": Encoded(parts()[:-3]),
    "cut in a header": Encoded(parts()[:-12]),
    "cut in the pixel data": Encoded(image().data[:-9], MG),
    "cut in a sequence": Encoded(parts(last=sequence(0x0040A730, parts())[:-30])),
    "a value longer than the data set": Encoded(parts(last=element(0x00400275, b"OB", b"AB", 90000))),
    "a file instead of a data set": Encoded(bytes(128) + b"DICM" + parts()),
    "nothing": Encoded(b""),
    "garbage": Encoded(bytes(range(256)) * 8),
    "zeros": Encoded(bytes(2048)),
}
"""Odd data sets by their oddity."""

assert UID(INSTANCE).is_valid
