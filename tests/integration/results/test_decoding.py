"""Images compressed by DCMTK, decoded as DCMTK decodes them."""

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
