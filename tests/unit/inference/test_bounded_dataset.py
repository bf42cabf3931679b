"""Tests that an image is read in little memory, whatever a sender adds to it."""

import struct
import tracemalloc
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.inference.bounded_dataset import MAXIMUM_PRIVATE_BYTES, read_bounded
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.node.storage.identity import read_identity
from glam_node.node.workflow.analyse.source_images import read_source

LARGE = 300 * 2**20
MOST_BYTES = 32 * 2**20
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
OTHER_BYTES = b"\x09\0\x10\x10OB\0\0"
UNDEFINED = b"\xff\xff\xff\xff"
SHAPES = {
    "a private value": (OTHER_BYTES + struct.pack("<I", LARGE), b""),
    "a value in a private sequence": (
        b"\x09\0\x10\x10SQ\0\0" + UNDEFINED + ITEM + UNDEFINED + OTHER_BYTES + struct.pack("<I", LARGE),
        b"\xfe\xff\x0d\xe0\0\0\0\0" + END,
    ),
    "a private value of undefined length": (
        b"\x09\0\x10\x10UN\0\0" + UNDEFINED + ITEM + struct.pack("<I", LARGE),
        END,
    ),
    "a value of the standard": (b"\x42\0\x11\0OB\0\0" + struct.pack("<I", LARGE), b""),
}


@pytest.fixture(scope="module")
def image() -> Dataset:
    """Return a small view that can be read."""
    return next(iter(make_exam(1, rows=128, columns=96))).dataset


def written(path: Path, image: Dataset, large: tuple[bytes, bytes], *, behind: bool) -> None:
    """Write the image with a large element, most of which is a hole in the file, in front or behind its pixels."""
    image.save_as(path, enforce_file_format=True)
    encoded = path.read_bytes()
    at = len(encoded) if behind else encoded.index(b"\x08\0\x05\0CS") if b"\x08\0\x05\0CS" in encoded else 0
    at = at or encoded.index(b"\x08\0", 132 + 12 + struct.unpack_from("<I", encoded, 140)[0])
    with path.open("wb") as file:
        file.write(encoded[:at] + large[0])
        file.seek(LARGE, 1)
        file.write(large[1] + encoded[at:])
        file.truncate()


@pytest.mark.parametrize("behind", [False, True], ids=["in front", "behind"])
@pytest.mark.parametrize("large", SHAPES.values(), ids=SHAPES.keys())
def test_an_image_is_read_without_its_large_elements(
    tmp_path: Path, image: Dataset, large: tuple[bytes, bytes], behind: bool
) -> None:
    plain, path = tmp_path / "plain.dcm", tmp_path / "large.dcm"
    image.save_as(plain, enforce_file_format=True)
    written(path, image, large, behind=behind)
    expected = read_mammogram(read_dataset(plain))
    tracemalloc.start()
    try:
        read = read_mammogram(read_dataset(path))
        read_source(path, str(image.SOPInstanceUID))
        read_identity(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (read.pixels == expected.pixels).all()
    assert peak < MOST_BYTES


def with_tables(image: Dataset, count: int) -> Dataset:
    """Return the image with VOI LUTs of 128 KiB each, which show dark tissue brighter."""
    table = Dataset()
    table.LUTDescriptor = [0, 0, 16]
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "OW", (256 * np.sqrt(np.arange(2**16))).astype("<u2").tobytes())
    shown = deepcopy(image)
    shown.VOILUTSequence = [table] * count
    return shown


def test_an_image_with_several_large_tables_is_read_with_the_first(tmp_path: Path, image: Dataset) -> None:
    pixels = []
    for count in (1, 5):
        path = tmp_path / f"{count}.dcm"
        with_tables(image, count).save_as(path, enforce_file_format=True)
        pixels.append(read_mammogram(read_dataset(path)).pixels)
    assert (pixels[0] == pixels[1]).all()


def test_an_image_with_absurdly_large_tables_is_not_read_without_them(tmp_path: Path, image: Dataset) -> None:
    path = tmp_path / "image.dcm"
    with_tables(image, 40).save_as(path, enforce_file_format=True)
    with pytest.raises(UnsupportedMammogram, match="look-up tables"):
        read_dataset(path)


def test_an_ordinary_file_is_read_as_pydicom_reads_it(tmp_path: Path, image: Dataset) -> None:
    image.add_new(0x00091010, "OB", bytes(MAXIMUM_PRIVATE_BYTES // 2))
    path = tmp_path / "image.dcm"
    image.save_as(path, enforce_file_format=True)
    read = read_bounded(path)
    assert read == image
    assert (read.filename, read.file_meta.TransferSyntaxUID) == (path, ExplicitVRLittleEndian)
    del image[0x00091010]
