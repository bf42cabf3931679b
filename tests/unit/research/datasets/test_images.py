"""Tests of images whose laterality and view come from the labels."""

from pathlib import Path

import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.images import image_shape, read_header, read_view
from tests.unit.research.datasets.tiny import SHAPE, film, mammogram, write

LEFT_CC = (Laterality.LEFT, ViewPosition.CC)


@pytest.mark.parametrize("modality", ["MG", "CR", "OT"])
def test_values_that_a_header_lacks_are_filled_in(tmp_path: Path, modality: str) -> None:
    dataset = film()
    dataset.Modality = modality
    read = read_view(write(tmp_path / "a.dcm", dataset), *LEFT_CC)
    assert (read.image_laterality, read.view_position, read.shape) == (*LEFT_CC, SHAPE)


def test_an_image_for_processing_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", mammogram(SOPClassUID=None, PresentationIntentType="FOR PROCESSING"))
    with pytest.raises(UnsupportedMammogram, match="not for presentation"):
        read_view(path, *LEFT_CC)


def test_an_image_of_another_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMammogram, match="modality is MR"):
        read_view(write(tmp_path / "a.dcm", mammogram(Modality="MR")), *LEFT_CC)


@pytest.mark.parametrize(("side", "position"), [("R", "CC"), ("L", "MLO")])
def test_a_header_that_says_another_view_is_refused(tmp_path: Path, side: str, position: str) -> None:
    with pytest.raises(UnsupportedMammogram, match="than its labels, which state"):
        read_view(write(tmp_path / "a.dcm", mammogram(side, position)), *LEFT_CC)


def test_a_header_is_read_without_pixels(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "a.dcm", mammogram()))
    assert "PixelData" not in header
    assert image_shape(header) == SHAPE


def test_a_header_without_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMammogram, match="no size"):
        image_shape(read_header(write(tmp_path / "a.dcm", mammogram(Rows=None))))
