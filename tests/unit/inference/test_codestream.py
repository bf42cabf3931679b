"""Tests of the checks on compressed images before a decoder reads them."""

import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from glam_node.inference.codestream import check_codestream, essential_jpeg
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.phantom import make_exam

ROWS, COLUMNS = 64, 48


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return one phantom view in three codings."""
    directory = tmp_path_factory.mktemp("frames")
    pydicom.dcmwrite(directory / "plain.dcm", make_exam(1, rows=ROWS, columns=COLUMNS)[0].dataset)
    found = {}
    for option in ("--jpeg", "--jpegls", "--j2k"):
        subprocess.run(
            [Path(sys.executable).parent / "gdcmconv", option, directory / "plain.dcm", directory / "encoded.dcm"],
            check=True,
            capture_output=True,
        )
        dataset = pydicom.dcmread(directory / "encoded.dcm")
        found[option] = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    return found


def refusal(frame: bytes, rows: int = ROWS, columns: int = COLUMNS, bits_allocated: int = 16) -> str:
    with pytest.raises(UnsupportedMammogram) as raised:
        check_codestream(frame, rows, columns, bits_allocated)
    return str(raised.value)


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--j2k"])
def test_an_intact_image_of_the_stated_size_passes(frames: dict[str, bytes], option: str) -> None:
    check_codestream(frames[option], ROWS, COLUMNS, 16)


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--j2k"])
def test_an_image_of_another_size_is_refused(frames: dict[str, bytes], option: str) -> None:
    assert "the DICOM header states" in refusal(frames[option], rows=ROWS + 1)


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--j2k"])
def test_an_image_without_its_end_is_refused(frames: dict[str, bytes], option: str) -> None:
    assert "cut short" in refusal(frames[option].rstrip(b"\0")[:-2])


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--j2k"])
@pytest.mark.parametrize("length", [4, 12, 20])
def test_an_image_without_its_header_is_refused(frames: dict[str, bytes], option: str, length: int) -> None:
    assert refusal(frames[option][:length])


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--j2k"])
def test_an_image_of_more_bits_than_are_allocated_is_refused(frames: dict[str, bytes], option: str) -> None:
    assert "bits" in refusal(frames[option], bits_allocated=8)


def test_a_marker_that_no_still_image_has_is_refused(frames: dict[str, bytes]) -> None:
    assert "marker" in refusal(frames["--jpeg"].replace(b"\xff\xc4", b"\xff\xd2", 1))


def test_an_image_without_its_tables_is_refused(frames: dict[str, bytes]) -> None:
    assert "header is missing" in refusal(frames["--jpeg"].replace(b"\xff\xc4", b"\xff\xfe"))


def test_a_marker_within_the_data_is_refused(frames: dict[str, bytes]) -> None:
    frame = frames["--jpeg"].rstrip(b"\0")
    assert "within its data" in refusal(frame[:-40] + b"\xff\xc4" + frame[-38:])


def test_comments_and_application_data_are_removed(frames: dict[str, bytes]) -> None:
    frame = frames["--jpeg"]
    commented = frame[:2] + b"\xff\xe0\x00\x04xx\xff\xfe\x00\x05abc" + frame[2:]
    assert essential_jpeg(commented) == essential_jpeg(frame)


def test_a_frame_of_an_unknown_format_passes_unchecked() -> None:
    check_codestream(b"\x01\x00\x00\x00", ROWS, COLUMNS, 16)
