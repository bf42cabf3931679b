"""Tests of the images and masks of an NYU exam list."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam import window
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.nyu import WINDOW_SHAPE, open_nyu
from tests.shared_data import SHARED, needs_shared_data
from tests.unit.research.datasets.tiny import SHAPE, box, square, write_png

LABELS = {"left_malignant": 0, "right_malignant": 1, "left_benign": 1, "right_benign": 0}
EXAM: dict[str, object] = {
    "horizontal_flip": "NO",
    "L-CC": ["0_L-CC"],
    "R-MLO": ["0_R-MLO"],
    "R-MLO_malignant_seg": ["0_R-MLO_malignant"],
    "cancer_label": LABELS,
}


def nyu(folder: Path, *exams: dict[str, object], shape: tuple[int, int] = SHAPE) -> ListedDataset:
    (folder / "exams.json").write_text(json.dumps(exams or [EXAM]))
    grey = np.zeros(shape, dtype=np.uint16)
    grey[: shape[0] // 2, : shape[1] // 2] = np.arange(1, shape[1] // 2 + 1) * 50
    write_png(folder / "images" / "0_L-CC.png", grey)
    write_png(folder / "images" / "0_R-MLO.png", grey[:, ::-1])
    return open_nyu(folder / "exams.json")


def by_id(dataset: ListedDataset, image_id: str) -> LabelledView:
    return next(view for view in dataset.views if view.image_id == image_id)


def test_views_have_the_labels_of_their_breast_and_the_number_of_their_exam(tmp_path: Path) -> None:
    assert [(view.image_id, view.study_id, view.labels) for view in nyu(tmp_path).views] == [
        ("0_L-CC", "0", (True, False)),
        ("0_R-MLO", "0", (False, True)),
    ]


def test_exams_without_labels_are_left_out_and_keep_their_number(tmp_path: Path) -> None:
    unknown = EXAM | {"cancer_label": {"unknown": 1}}
    assert {view.study_id for view in nyu(tmp_path, unknown, EXAM).views} == {"1"}


def test_pixels_are_those_of_the_png_file(tmp_path: Path) -> None:
    dataset = nyu(tmp_path)
    pixels = dataset.read(by_id(dataset, "0_L-CC")).pixels
    assert pixels.dtype == np.uint16
    assert pixels[0, :3].tolist() == [50, 100, 150]
    assert not pixels[SHAPE[0] // 2 :].any()


@pytest.mark.parametrize(("flip", "left", "right"), [("NO", "A", "P"), ("YES", "P", "A")])
def test_horizontal_flip_says_where_the_breasts_point(tmp_path: Path, flip: str, left: str, right: str) -> None:
    dataset = nyu(tmp_path, EXAM | {"horizontal_flip": flip})
    orientations = [dataset.read(view).patient_orientation for view in dataset.views]
    assert orientations == [(left, "R"), (right, "FL")]


def test_a_mask_on_the_grid_of_the_image_is_used_unchanged(tmp_path: Path) -> None:
    dataset = nyu(tmp_path)
    write_png(tmp_path / "segmentation" / "0_R-MLO_malignant.png", square(10, 20))
    masks = dataset.masks(by_id(dataset, "0_R-MLO"))
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (10, 13, 20, 23)


def test_a_mask_in_the_window_of_the_model_is_put_where_it_belongs(tmp_path: Path) -> None:
    dataset = nyu(tmp_path, shape=(900, 700))
    write_png(tmp_path / "segmentation" / "0_R-MLO_malignant.png", square(100, 20, 30, WINDOW_SHAPE))
    masks = dataset.masks(by_id(dataset, "0_R-MLO"))
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (100, 129, 650, 679)


def test_masks_of_an_image_without_mask_files_are_none(tmp_path: Path) -> None:
    dataset = nyu(tmp_path)
    assert dataset.masks(by_id(dataset, "0_L-CC")) is None


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    dataset = nyu(tmp_path)
    write_png(tmp_path / "segmentation" / "0_R-MLO_malignant.png", square(1, 1, shape=(32, 32)))
    with pytest.raises(UnsupportedMammogram, match="neither its image's"):
        dataset.masks(by_id(dataset, "0_R-MLO"))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.ones(SHAPE, dtype=np.uint8), "16 bits"),
        (np.ones((*SHAPE, 3), dtype=np.uint16), "16 bits"),
        (np.zeros(SHAPE, dtype=np.uint16), "black everywhere"),
    ],
)
def test_an_image_that_is_not_a_grey_mammogram_is_refused(
    tmp_path: Path, pixels: NDArray[np.uint8 | np.uint16], reason: str
) -> None:
    dataset = nyu(tmp_path)
    write_png(tmp_path / "images" / "0_L-CC.png", pixels)
    with pytest.raises(UnsupportedMammogram, match=reason):
        dataset.read(by_id(dataset, "0_L-CC"))


@needs_shared_data
def test_a_published_mask_lies_within_the_breast_of_its_image(tmp_path: Path) -> None:
    exam = {
        "horizontal_flip": "NO",
        "R-CC": ["0_R-CC"],
        "R-CC_benign_seg": ["0_R-CC_benign"],
        "cancer_label": {"left_malignant": 0, "right_malignant": 0, "right_benign": 1},
    }
    (tmp_path / "exams.json").write_text(json.dumps([exam]))
    assert SHARED is not None
    published = SHARED / "data" / "mammograms"
    dataset = open_nyu(tmp_path / "exams.json", images=published, masks=published)
    pixels, masks = dataset.read(dataset.views[0]).pixels, dataset.masks(dataset.views[0])
    assert masks is not None
    lesion = masks[FindingKind.BENIGN]
    assert np.count_nonzero(lesion) > 1000
    assert pixels[lesion].all()
    assert pixels[lesion].mean() > pixels[pixels > 0].mean()


def test_outlines_are_expected_on_the_window_that_the_model_sees() -> None:
    assert WINDOW_SHAPE == window.WINDOW_SHAPE
