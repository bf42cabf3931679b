"""Headers of stored data sets are read, or refused if they are too damaged or too large."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from glam_node.inference import encoded_elements
from glam_node.inference.header_facts import describe_view
from glam_node.node.storage import header
from glam_node.node.storage.header import UnreadableDataSet, read_header
from tests.data_sets import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    data_set,
    deflate,
    encode,
    mammogram,
)

ITEM, END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture(autouse=True)
def directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("header"))


def header_of(data: bytes, transfer_syntax_uid: str = EXPLICIT_LITTLE, offset: int = 0) -> Dataset:
    path = Path("data_set")
    path.write_bytes(bytes(offset) + data)
    return read_header(path, offset, transfer_syntax_uid)


def encapsulated(*fragments: bytes) -> bytes:
    """Return a data set whose pixel data have these fragments, without their end."""
    pixel_data = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
    return data_set("1.2") + pixel_data + b"".join(ITEM + struct.pack("<I", len(one)) + one for one in fragments)


def nested(depth: int) -> bytes:
    """Return nested sequences of undefined length."""
    opening = b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff" + ITEM + b"\xff\xff\xff\xff"
    return opening * depth + (b"\xfe\xff\x0d\xe0\0\0\0\0" + END_OF_ITEMS) * depth


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED])
def test_a_header_is_read_in_every_transfer_syntax(syntax: str) -> None:
    dataset = mammogram("1.2", pixel_bytes=1000, ImageLaterality="L", ViewPosition="MLO", Rows=500, Columns=1)
    read = header_of(encode(dataset, syntax), syntax, offset=333)
    assert describe_view(read) == describe_view(dataset)
    assert "PixelData" not in read


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED])
def test_a_data_set_without_pixels_is_read_to_its_end(syntax: str) -> None:
    assert header_of(encode(mammogram("1.2"), syntax), syntax).SOPInstanceUID == "1.2"


def test_pixel_data_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAXIMUM_HEADER_BYTES", 500)
    assert header_of(data_set("1.2", pixel_bytes=100_000)).SOPInstanceUID == "1.2"


def test_values_beyond_the_limit_are_left_out_except_identifying_ones() -> None:
    many = {"ImageComments": "x" * 200_000, "PatientComments": "y" * 200_000, "DerivationDescription": "z" * 200_000}
    sent = mammogram("1.2")
    for keyword, value in many.items():
        sent.add_new(keyword, "UT", value)
    read = header_of(encode(sent))
    assert len([keyword for keyword in many if keyword in read]) == 1
    assert (read.SOPInstanceUID, read.StudyInstanceUID, read.SeriesInstanceUID) == ("1.2", "1.2.3", "1.2.3.1")


def ends_of_elements(data: bytes) -> set[int]:
    """Return the positions where the elements of `data` (with 16-bit lengths) end."""
    ends, offset = set(), 0
    while offset < len(data):
        offset += 8 + int.from_bytes(data[offset + 6 : offset + 8], "little")
        ends.add(offset)
    return ends


@given(data=st.data())
def test_a_data_set_cut_inside_an_element_is_refused(data: st.DataObject) -> None:
    whole = data_set("1.2.3.4", StudyDescription="x" * 40, Rows=1)
    cut = data.draw(st.integers(1, len(whole) - 1))
    if cut in ends_of_elements(whole):
        assert header_of(whole[:cut]).SOPClassUID
    else:
        with pytest.raises(UnreadableDataSet):
            header_of(whole[:cut])


@given(length=st.integers(0, 311))
def test_cut_pixel_data_are_refused(length: int) -> None:
    whole = data_set("1.2.3.4", pixel_bytes=300)
    header_length = len(whole) - 312
    if length:
        with pytest.raises(UnreadableDataSet, match="too early"):
            header_of(whole[: header_length + length])


def test_fragments_of_pixel_data_are_read_to_their_end() -> None:
    assert header_of(encapsulated(b"", b"xx" * 50) + END_OF_ITEMS, JPEG_LS).SOPInstanceUID == "1.2"


DAMAGED = {
    "nothing": (b"", EXPLICIT_LITTLE, "no elements"),
    "seven bytes": (b"\x08\0\x05\0CS\0", EXPLICIT_LITTLE, "too early"),
    "garbage": (bytes(range(256)) * 20, EXPLICIT_LITTLE, "."),
    "pixel data that are cut": (data_set("1.2", pixel_bytes=100)[:-1], EXPLICIT_LITTLE, "too early"),
    "fragments without an end": (encapsulated(b"", b"xx"), JPEG_LS, "too early"),
    "a fragment that is cut": (encapsulated(b"", b"xx" * 50)[:-1], JPEG_LS, "too early"),
    "fragments that are none": (encapsulated(b"") + b"\0" * 8, JPEG_LS, "damaged"),
    "a sequence without an end": (data_set("1.2") + nested(1)[:-8], EXPLICIT_LITTLE, "too early"),
    "deflated data that are cut": (encode(mammogram("1.2"), DEFLATED)[:-10], DEFLATED, "too early"),
    "deflated data that are none": (b"\xff" * 100, DEFLATED, "damaged"),
    "deflated data of a data set that is cut": (deflate(data_set("1.2")[:-1]), DEFLATED, "too early"),
}


@pytest.mark.parametrize(("data", "syntax", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_data_set_is_refused_with_a_reason(data: bytes, syntax: str, reason: str) -> None:
    with pytest.raises(UnreadableDataSet, match=reason):
        header_of(data, syntax)


def test_a_decompression_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAXIMUM_INFLATED_BYTES", 10 * 2**20)
    bomb = deflate(data_set("1.2") + bytes(50 * 2**20))
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableDataSet, match="would inflate to more than"):
        header_of(bomb, DEFLATED)


@pytest.mark.parametrize("depth", [100, 2000, 100_000])
def test_deeply_nested_sequences_do_not_hide_other_elements(depth: int) -> None:
    read = header_of(nested(depth) + data_set("1.2"))
    assert (read.SOPInstanceUID, read.StudyInstanceUID) == ("1.2", "1.2.3")


def test_an_endless_data_set_is_accepted_only_if_its_identifying_elements_were_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoded_elements, "_MOST_STEPS", 1000)
    many = b"\x41\0\x10\0LO\0\0" * 1001
    assert header_of(data_set("1.2") + many).SOPInstanceUID == "1.2"
    with pytest.raises(UnreadableDataSet, match="more than 1000 elements"):
        header_of(many + data_set("1.2"))


REFERENCED = b"\x08\0\x40\x11SQ\0\0"
EMPTY_ITEM = ITEM + bytes(4)
SHAPES = {
    "elements": b"\x09\0\x10\0LO\0\0" * 120_000,
    "public elements": b"\x08\0\x3e\x10LO\2\0ab" * 120_000,
    "items": REFERENCED + b"\xff\xff\xff\xff" + EMPTY_ITEM * 120_000 + END_OF_ITEMS,
    "items of defined length": REFERENCED + struct.pack("<I", 240_000) + EMPTY_ITEM * 30_000,
    "items of defined length, many": REFERENCED + struct.pack("<I", 960_000) + EMPTY_ITEM * 120_000,
    "depth": nested(60_000),
    "a value": b"\x09\0\x10\x10UN\0\0" + struct.pack("<I", 50 * 2**20) + bytes(50 * 2**20),
    "text of many values": b"\x08\0\x08\0CS\xf0\xff" + b"\\" * 0xFFF0,
}

MEASURED = """
import resource, sys, warnings
from pathlib import Path
from glam_node.inference.header_facts import describe_view
from glam_node.node.storage.header import read_header
warnings.simplefilter("ignore")
describe_view(read_header(Path("small"), 0, sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
header = read_header(Path("large"), 0, sys.argv[1])
describe_view(header)
[str(header.get(keyword)) for keyword in header.dir()]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
MOST_KIBIBYTES = 64 * 1024
"""The limit that CONFORMANCE.md section 2 states."""


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, DEFLATED])
def test_reading_a_header_takes_little_memory_for_every_shape(shape: bytes, syntax: str) -> None:
    for name, data in (("small", data_set("1.2")), ("large", shape + data_set("1.2"))):
        Path(name).write_bytes(deflate(data) if syntax == DEFLATED else data)
    command = [sys.executable, "-c", MEASURED, syntax]
    measured = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(measured.stdout) < MOST_KIBIBYTES


def test_a_whole_deflated_data_set_with_pixels_is_read_without_keeping_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAXIMUM_HEADER_BYTES", 2**10)
    assert header_of(deflate(data_set("1.2", pixel_bytes=8 * 2**20)), DEFLATED).SOPInstanceUID == "1.2"
