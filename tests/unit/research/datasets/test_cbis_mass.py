"""Tests with an imitation of the reduced pictures of CBIS-DDSM's masses, and with the pictures where they are there."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.preprocessing import prepare
from glam_node.research.datasets.cbis_mass import open_cbis_mass
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.split import TRAINING, VALIDATION, split_views
from tests.shared_data import SHARED, needs_shared_data
from tests.unit.research.datasets.tiny import box, write_csv

ROW = {
    "file": "images/00001_LEFT_CC.png",
    "patient": "00001",
    "image_laterality": "L",
    "view_position": "CC",
    "malignant": "1",
    "benign": "0",
    "boxes": "50 80 20 20",
}


def picture(path: Path, mirrored: bool = False) -> None:
    """Write a left breast of 200 x 200 pixels that has a bright mass, with a white border at the right."""
    rows, columns = np.mgrid[:200, :200]
    pixels = np.where(((rows - 100) / 70) ** 2 + (columns / 100) ** 2 < 1, 120, 8).astype(np.uint8)
    pixels[80:100, 50:70] = 180
    pixels[:, -5:] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, ::-1] if mirrored else pixels)


def opened(folder: Path, *rows: dict[str, str], mirrored: bool = False) -> ListedDataset:
    listed = [ROW | row for row in rows or ({},)]
    for row in listed:
        picture(folder / row["file"], mirrored)
    write_csv(folder / "labels.csv", listed)
    return open_cbis_mass(folder)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_picture_is_a_film_of_mean_size_whose_left_breast_points_right(tmp_path: Path, mirrored: bool) -> None:
    dataset = opened(tmp_path, mirrored=mirrored)
    film = dataset.read(dataset.views[0])
    assert film.shape[0] == 3000
    assert 1650 < film.shape[1] < 1765
    assert np.count_nonzero(film.pixels[:, 5]) > 2000
    assert not film.pixels[:, -1].any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_lies_on_the_mass_of_the_film(tmp_path: Path, mirrored: bool) -> None:
    dataset = opened(tmp_path, {"boxes": "130 80 20 20" if mirrored else "50 80 20 20"}, mirrored=mirrored)
    film, masks = dataset.read(dataset.views[0]), dataset.masks(dataset.views[0])
    assert masks is not None
    mass = masks[FindingKind.MALIGNANT]
    assert mass.shape == film.shape
    assert not masks[FindingKind.BENIGN].any()
    assert np.allclose(box(mass), box(film.pixels > 150), atol=10)


def test_a_picture_with_both_kinds_of_mass_has_no_outlines(tmp_path: Path) -> None:
    dataset = opened(tmp_path, {"benign": "1", "boxes": "50 80 20 20;90 90 5 5"})
    assert dataset.views[0].labels == (True, True)
    assert dataset.masks(dataset.views[0]) is None


def test_both_views_have_the_labels_of_their_breast_and_boxes_their_own_kind(tmp_path: Path) -> None:
    other = {"file": "images/00001_LEFT_MLO.png", "view_position": "MLO", "malignant": "0", "benign": "1"}
    dataset = opened(tmp_path, {}, other)
    assert [view.labels for view in dataset.views] == [(True, True), (True, True)]
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert [kind for kind, mask in masks.items() if mask.any()] == [FindingKind.MALIGNANT]


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    opened(tmp_path)
    write_csv(tmp_path / "labels.csv", [ROW | {"boxes": "1 2 3"}, ROW | {"file": "gone.jpg"}, ROW | {"benign": "x"}])
    with pytest.raises(DatasetError) as caught:
        _ = open_cbis_mass(tmp_path).views
    assert [(each.row, each.column) for each in caught.value.problems] == [(2, "boxes"), (3, "file"), (4, "benign")]


def test_a_damaged_picture_is_refused(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    (tmp_path / ROW["file"]).write_bytes(b"no picture")
    with pytest.raises(UnsupportedMammogram, match="damaged"):
        dataset.read(dataset.views[0])


PICTURES = (SHARED or Path()) / "data" / "cbis_mass_800"


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.skipif(not PICTURES.is_dir(), reason="NOT RUN: the pictures of shared/data/cbis_mass_800 are not there")
def test_the_guard_accepts_real_films_and_no_woman_is_in_two_parts() -> None:
    dataset = open_cbis_mass(PICTURES)
    parts = split_views(dataset.views, {TRAINING: 0.8, VALIDATION: 0.2})
    women = [{view.study_id for view in part} for part in parts.values()]
    assert (len(dataset.views), len(women[0] | women[1]), women[0] & women[1]) == (1231, 691, set())
    for view in dataset.views[:: len(dataset.views) // 10]:
        prepare(dataset.read(view))
