"""Pictures with burned-in marks."""

import tracemalloc
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.reading import read_mammogram
from glam_node.node.results.tracking import DISPLAY_RGB
from glam_node.node.results.view_picture import ReducedView, reduced_view
from tests.unit.results.analysed import Analysed, analysed_exam, encoded, failed
from tests.unit.results.presented import secondary_captures


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def coloured(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels that are green or red like a mark, but not yellow like the banner."""
    values = pixels.astype(int)
    near = [np.abs(values - colour).max(axis=-1) <= 3 for colour in DISPLAY_RGB.values()]
    return np.asarray(np.logical_or.reduce(near))


def test_a_sheet_is_one_object_that_names_all_views_as_its_sources(exam: Analysed) -> None:
    (sheet,) = secondary_captures(exam)
    sources = [item.ReferencedSOPInstanceUID for item in sheet.SourceImageSequence]
    assert sources == [image.sop_instance_uid for image in exam.findings.images]


def test_the_left_breast_is_on_the_right_of_a_sheet(exam: Analysed) -> None:
    (sheet,) = secondary_captures(exam)
    marks = coloured(sheet.pixel_array)
    middle = sheet.Columns // 2
    assert marks[:, :middle].sum() == 0
    assert marks[: sheet.Rows // 2, middle:].any()
    assert marks[sheet.Rows // 2 :, middle:].any()


def test_views_are_one_object_each(exam: Analysed) -> None:
    captures = secondary_captures(exam, "views")
    assert [capture.SeriesDescription.split()[2:4] for capture in captures] == [
        ["R", "CC"],
        ["L", "CC"],
        ["R", "MLO"],
        ["L", "MLO"],
    ]
    assert [coloured(capture.pixel_array).any() for capture in captures] == [False, True, False, True]
    assert len({capture.SeriesInstanceUID for capture in captures}) == 4


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_a_mark_lies_on_its_finding(photometric_interpretation: str) -> None:
    exam = analysed_exam(photometric_interpretation=photometric_interpretation).only("L CC")
    (capture,) = secondary_captures(exam, "views")
    image = exam.image("L CC")
    scale, banner = 3, 2 * 28
    pixels = capture.pixel_array.astype(int)[:, : image.shape[1] * scale]
    tinted = pixels.max(axis=2) - pixels.min(axis=2) > 20
    offsets = range(10, banner + 1)
    truth = np.logical_or.reduce([found.full_mask(image.shape) for found in image.findings])
    enlarged = np.kron(truth, np.ones((scale, scale), bool))
    overlap = max(tinted[offset : offset + len(enlarged)][enlarged].mean() for offset in offsets)
    assert overlap > 0.95


def mirrored(exam: Analysed) -> Analysed:
    """Return the same exam from equipment that stores every view mirrored, and states so."""
    turned = deepcopy(exam)
    for uid, source in turned.sources.items():
        source.PixelData = np.ascontiguousarray(exam.sources[uid].pixel_array[:, ::-1]).tobytes()
        source.PatientOrientation = [{"A": "P", "P": "A"}[source.PatientOrientation[0]], source.PatientOrientation[1]]
    images = [
        replace(
            image,
            findings=tuple(
                replace(
                    one,
                    mask=one.mask[:, ::-1],
                    origin=(one.origin[0], image.shape[1] - one.origin[1] - one.mask.shape[1]),
                )
                for one in image.findings
            ),
        )
        for image in exam.findings.images
    ]
    return turned.with_images(*images)


@pytest.mark.parametrize("capture_of", ["sheet", "views"])
def test_a_view_hangs_the_same_however_it_is_stored(exam: Analysed, capture_of: Literal["sheet", "views"]) -> None:
    as_usual, turned = secondary_captures(exam, capture_of), secondary_captures(mirrored(exam), capture_of)
    for one, other in zip(as_usual, turned, strict=True):
        assert one.PatientOrientation == other.PatientOrientation
        assert np.mean(np.abs(one.pixel_array.astype(int) - other.pixel_array)) < 0.5


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_a_view_is_shown_in_its_own_window(photometric_interpretation: str) -> None:
    dataset = analysed_exam(photometric_interpretation=photometric_interpretation).source("L CC")
    presented = read_mammogram(dataset).pixels.astype(float)
    whole = reduced_view(dataset, 480).pixels[::3, ::3].astype(float)
    assert np.abs(whole - presented * 255 / 4095).max() <= 1
    dataset.WindowCenter, dataset.WindowWidth = 2048, 1024
    narrow = reduced_view(dataset, 480).pixels[::3, ::3].astype(float)
    assert np.abs(narrow - np.clip((presented - 1536) * 255 / 1023, 0, 255)).max() <= 2
    del dataset.WindowCenter, dataset.WindowWidth
    bright = reduced_view(dataset, 480).pixels
    assert 0 < np.mean(bright == 255) < 0.02, "the brightest few are white, not black with a quarter of the range"


@pytest.mark.parametrize(("rows", "columns"), [(2294, 1914), (3062, 2394), (3328, 2560), (5355, 4915)])
def test_views_of_every_detector_are_reduced_by_a_whole_factor(rows: int, columns: int) -> None:
    dataset = analysed_exam(64, 48).source("L CC")
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = np.full((rows, columns), 2000, dtype="<u2").tobytes()
    for height in (800, 1600):
        view = reduced_view(dataset, height)
        factor = round(1 / view.scale)
        assert view.pixels.shape == (rows // factor, columns // factor)
        assert 0.6 * height < len(view.pixels) <= 1.1 * height


def test_a_picture_says_that_it_is_derived_burned_in_and_for_research(exam: Analysed) -> None:
    (sheet,) = secondary_captures(exam)
    assert (sheet.ConversionType, sheet.BurnedInAnnotation, sheet.Modality) == ("WSD", "YES", "OT")
    assert list(sheet.ImageType) == ["DERIVED", "SECONDARY"]
    assert "UNTRAINED" in sheet.SeriesDescription
    assert "research use" in sheet.ImageComments
    banner = sheet.pixel_array[:40].reshape(-1, 3).astype(int)
    assert (np.abs(banner - (255, 200, 60)).max(axis=1) < 20).sum() > 100


def test_a_view_that_was_not_analysed_is_a_panel_with_the_reason_and_is_not_decoded(exam: Analysed) -> None:
    broken = exam.with_images(failed(exam.image("R CC"), "The image is black everywhere."))
    read = []

    def view(uid: str, height: int) -> ReducedView:
        read.append(uid)
        return reduced_view(exam.sources[uid], height)

    captures = secondary_captures(broken, "views", view)
    assert len(captures) == 4
    assert read == [image.sop_instance_uid for image in broken.findings.images if not image.failure]


def test_sheet_and_views_have_names_of_their_own_and_the_same_bytes_every_time(exam: Analysed) -> None:
    single = exam.only("L CC")
    sheet, again = secondary_captures(single), secondary_captures(single)
    assert [encoded(one) for one in sheet] == [encoded(one) for one in again]
    assert sheet[0].SOPInstanceUID != secondary_captures(single, "views")[0].SOPInstanceUID


def test_a_full_size_view_takes_less_than_twice_its_pixels() -> None:
    rows, columns = 3328, 2560
    exam = analysed_exam(rows, columns).only("L CC")
    tracemalloc.start()
    try:
        for capture_of in ("sheet", "views"):
            secondary_captures(exam, capture_of)
        assert tracemalloc.get_traced_memory()[1] < 2 * rows * columns * 2
    finally:
        tracemalloc.stop()
