"""Images compressed by DCMTK, decoded as DCMTK decodes them."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_dataset, read_mammogram
from tests.peers import PEERS

pytestmark = pytest.mark.peer("dcmtk")


@pytest.mark.parametrize(
    ("encoder", "option", "decoder"),
    [
        ("dcmcjpeg", "+e1", "dcmdjpeg"),
        ("dcmcjpeg", "+el", "dcmdjpeg"),
        ("dcmcjpeg", "+ee", "dcmdjpeg"),
        ("dcmcjpls", "+el", "dcmdjpls"),
        ("dcmcjpls", "+en", "dcmdjpls"),
        ("dcmcrle", "", "dcmdrle"),
    ],
)
def test_a_compressed_view_is_decoded_as_dcmtk_decodes_it(
    tmp_path: Path, encoder: str, option: str, decoder: str
) -> None:
    plain, compressed, decoded = (tmp_path / name for name in ("plain.dcm", "compressed.dcm", "decoded.dcm"))
    pydicom.dcmwrite(plain, make_exam(2, rows=512, columns=384)[1].dataset, enforce_file_format=True)
    bin_directory = PEERS["dcmtk"].program.parent
    subprocess.run([bin_directory / encoder, *option.split(), plain, compressed], check=True, capture_output=True)
    subprocess.run([bin_directory / decoder, compressed, decoded], check=True, capture_output=True)
    ours = read_mammogram(read_dataset(compressed))
    theirs = read_mammogram(read_dataset(decoded))
    assert np.array_equal(ours.pixels, theirs.pixels)


OFFSET_TABLES = {
    "an offset beyond the pixel data": (struct.pack("<I", 12_345_678), None),
    "an offset into the frame": (struct.pack("<I", 8), None),
    "offsets of two frames": (struct.pack("<II", 0, 100), None),
    "a table of odd length": (struct.pack("<IH", 9, 9), None),
    "an extended table that is wrong": (b"", struct.pack("<Q", 12_345_678)),
}


@pytest.mark.parametrize("table", OFFSET_TABLES.values(), ids=OFFSET_TABLES.keys())
@pytest.mark.parametrize(
    ("encoder", "option"), [("dcmcjpeg", "+e1"), ("dcmcjpls", "+el"), ("dcmcrle", "")], ids=["JPEG", "JPEG-LS", "RLE"]
)
def test_an_image_with_a_wrong_offset_table_is_decoded(
    tmp_path: Path, encoder: str, option: str, table: tuple[bytes, bytes | None]
) -> None:
    plain, compressed = tmp_path / "plain.dcm", tmp_path / "compressed.dcm"
    pydicom.dcmwrite(plain, make_exam(2, rows=128, columns=96)[1].dataset, enforce_file_format=True)
    program = PEERS["dcmtk"].program.with_name(encoder)
    subprocess.run([program, *option.split(), plain, compressed], check=True, capture_output=True)
    odd = pydicom.dcmread(compressed)
    (own_length,) = struct.unpack_from("<I", odd.PixelData, 4)
    basic, extended = table
    odd.PixelData = odd.PixelData[:4] + struct.pack("<I", len(basic)) + basic + odd.PixelData[8 + own_length :]
    if extended is not None:
        odd.ExtendedOffsetTable, odd.ExtendedOffsetTableLengths = extended, struct.pack("<Q", 5)
    odd.save_as(compressed)
    assert np.array_equal(read_mammogram(read_dataset(compressed)).pixels, read_mammogram(read_dataset(plain)).pixels)
