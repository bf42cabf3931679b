"""Pictures drawn from stored segmentations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glam_node.node.results.overlay import (
    draw_overlay,
    draw_segments,
    is_mirrored_to_hang,
    stored_segments,
    write_overlay,
)
from glam_node.node.results.tracking import DISPLAY_RGB
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, failed


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def picture(exam: Analysed, view: str, **options: int) -> Image.Image:
    algorithm = exam.findings.algorithm
    return draw_overlay(exam.source(view), exam.segmentations(), exam.image(view), algorithm, IDENTITY, **options)


def coloured(image: Image.Image) -> int:
    """Return the number of pixels that are not grey."""
    values = np.asarray(image).astype(int)
    return int(np.count_nonzero(values.max(axis=2) - values.min(axis=2) > 20))


def test_findings_are_drawn_in_the_colour_of_their_class(exam: Analysed) -> None:
    values = np.asarray(picture(exam, "L CC"))
    for colour in DISPLAY_RGB.values():
        assert (np.abs(values.astype(int) - colour).max(axis=2) <= 3).any()


def test_segments_of_another_image_are_not_drawn(exam: Analysed) -> None:
    assert list(stored_segments(exam.image("R CC").sop_instance_uid, exam.segmentations())) == []
    assert coloured(picture(exam, "R CC")) < coloured(picture(exam, "L CC"))


def test_a_finding_is_drawn_where_it_is(exam: Analysed) -> None:
    image = exam.image("L CC")
    values = np.asarray(picture(exam, "L CC")).astype(int)
    tinted = (values.max(axis=2) - values.min(axis=2))[: 128 * 3, : 96 * 3] > 20
    found = np.logical_or.reduce([finding.full_mask(image.shape) for finding in image.findings])
    enlarged = np.kron(found, np.ones((3, 3), bool))
    assert tinted[enlarged].mean() > 0.95
    assert tinted[~enlarged].mean() < 0.05


def test_a_large_image_is_made_smaller(exam: Analysed) -> None:
    assert picture(exam, "L CC", maximum_height=64).height < 64 + 140


def test_an_image_that_could_not_be_analysed_is_drawn_with_the_reason(exam: Analysed) -> None:
    broken = exam.with_images(failed(exam.image("R CC"), "Black."))
    assert picture(broken, "R CC").width > 96


@pytest.mark.parametrize("brightest", [0, 3])
def test_an_image_without_a_bright_pixel_in_the_sample_is_drawn(exam: Analysed, brightest: int) -> None:
    pixels = np.zeros((64, 48), np.uint16)
    pixels[0, 1] = brightest
    image = failed(exam.image("R CC"), "Black.")
    drawn = draw_segments(pixels, [], image, exam.findings.algorithm, IDENTITY, maximum_height=64)
    assert (np.asarray(drawn)[3, 10].max() > 0) == (brightest > 0)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("elements", "mirrored"),
    [
        ({"ImageLaterality": "R", "PatientOrientation": ["A", "L"]}, True),
        ({"ImageLaterality": "R", "PatientOrientation": ["P", "L"]}, False),
        ({"ImageLaterality": None, "Laterality": "L", "PatientOrientation": ["P", "R"]}, True),
        ({"ImageLaterality": ["R", "L"], "PatientOrientation": ["A", "L"]}, False),
        ({"ImageLaterality": "R", "PatientOrientation": None}, False),
        ({"ImageLaterality": "R", "PatientOrientation": "A"}, True),
    ],
)
def test_a_view_is_mirrored_to_hang_whatever_its_header_holds(elements: dict[str, Any], mirrored: bool) -> None:
    source = analysed_exam(64, 48).with_source_elements(**elements).source("R CC")
    assert is_mirrored_to_hang(source) is mirrored


def test_a_png_is_written(exam: Analysed, tmp_path: Path) -> None:
    path = tmp_path / "overlay.png"
    algorithm = exam.findings.algorithm
    write_overlay(path, exam.source("L CC"), exam.segmentations(), exam.image("L CC"), algorithm, IDENTITY)
    with Image.open(path) as image:
        assert image.format == "PNG"
