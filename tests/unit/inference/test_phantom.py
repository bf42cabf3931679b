"""Tests that synthetic exams are deterministic and valid, with lesions at the places of their masks."""

from functools import partial
from io import BytesIO

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.inference.phantom import PhantomView, make_exam

small_exam = partial(make_exam, rows=128, columns=96)


def encoded(view: PhantomView) -> bytes:
    stream = BytesIO()
    pydicom.dcmwrite(stream, view.dataset, enforce_file_format=True)
    return stream.getvalue()


def stored(view: PhantomView) -> NDArray[np.uint16]:
    return np.frombuffer(view.dataset.PixelData, "<u2").reshape(view.dataset.Rows, view.dataset.Columns)


def test_an_exam_has_the_four_standard_views() -> None:
    views = [(view.dataset.ImageLaterality, view.dataset.ViewPosition) for view in small_exam(1)]
    assert views == [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = small_exam(5), small_exam(5)
    assert [encoded(view) for view in first] == [encoded(view) for view in second]


def test_another_seed_gives_another_study_and_other_pixels() -> None:
    first, second = small_exam(1)[0], small_exam(2)[0]
    assert first.dataset.StudyInstanceUID != second.dataset.StudyInstanceUID
    assert first.dataset.PixelData != second.dataset.PixelData


def test_different_images_have_different_uids() -> None:
    exams = [
        small_exam(1),
        make_exam(1, rows=64, columns=48),
        small_exam(1, photometric_interpretation="MONOCHROME1"),
        small_exam(1, lesions=()),
    ]
    uids = {view.dataset.SOPInstanceUID for exam in exams for view in exam}
    assert len(uids) == 16


def test_each_lesion_shows_in_both_views_of_its_breast_and_nowhere_else() -> None:
    views = small_exam(3)
    right = [view.dataset.ImageLaterality == "R" for view in views]
    assert [bool(view.benign_mask.any()) for view in views] == right
    assert [bool(view.malignant_mask.any()) for view in views] == [not side for side in right]


def test_lesions_are_drawn_in_the_given_breasts() -> None:
    views = small_exam(3, lesions=((FindingKind.MALIGNANT, Laterality.RIGHT),))
    assert [bool(view.malignant_mask.any()) for view in views] == [True, False, True, False]
    assert not any(view.benign_mask.any() for view in views)


def test_lesions_are_brighter_than_all_other_tissue() -> None:
    view = small_exam(4)[0]
    pixels = stored(view)
    assert np.median(pixels[view.benign_mask]) > np.percentile(pixels[~view.benign_mask], 99)


@pytest.mark.parametrize("place", range(4))
def test_the_breast_touches_the_edge_on_the_side_of_the_chest_wall(place: int) -> None:
    view = small_exam(6)[place]
    chest_wall = 0 if view.dataset.PatientOrientation[0] == "A" else -1
    pixels = stored(view)
    assert np.count_nonzero(pixels[:, chest_wall]) > 40
    assert not pixels[:, -1 - chest_wall].any()


def test_monochrome1_stores_the_same_image_inverted() -> None:
    plain = small_exam(1)[0]
    inverted = small_exam(1, photometric_interpretation="MONOCHROME1")[0]
    assert (stored(inverted) == 4095 - stored(plain)).all()


def test_the_pixel_spacing_follows_the_size() -> None:
    assert make_exam(1, rows=64, columns=48)[0].dataset.ImagerPixelSpacing == [3.64, 3.64]
