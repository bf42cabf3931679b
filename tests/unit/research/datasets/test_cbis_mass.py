"""Tests with an imitation of the reduced pictures of CBIS-DDSM's masses, and with the pictures where they are there."""

from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.preprocessing import prepare
from glam_node.research.datasets.cbis_mass import open_cbis_mass
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.split import TEST, TRAINING, VALIDATION
from tests.shared_data import SHARED, needs_shared_data
from tests.unit.research.datasets.imitated import CBIS_MASS_ROW, cbis_mass, cbis_mass_row
from tests.unit.research.datasets.tiny import box, write_csv


def opened(folder: Path, *rows: dict[str, str], mirrored: bool = False) -> ListedDataset:
    return open_cbis_mass(cbis_mass(folder, [CBIS_MASS_ROW | row for row in rows or ({},)], mirrored))


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


def test_all_views_of_a_woman_are_in_one_part_and_every_part_has_women(tmp_path: Path) -> None:
    rows = [cbis_mass_row(number, side) for number in range(30) for side in ("L", "R")]
    parts = {(view.study_id, view.split) for view in opened(tmp_path, *rows).views}
    assert len(parts) == 30
    assert {part for _, part in parts} == {TRAINING, VALIDATION, TEST}


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    opened(tmp_path)
    write_csv(
        tmp_path / "labels.csv",
        [CBIS_MASS_ROW | {"boxes": "1 2 3"}, CBIS_MASS_ROW | {"file": "gone.jpg"}, CBIS_MASS_ROW | {"benign": "x"}],
    )
    with pytest.raises(DatasetError) as caught:
        _ = open_cbis_mass(tmp_path).views
    assert [(each.row, each.column) for each in caught.value.problems] == [(2, "boxes"), (3, "file"), (4, "benign")]


def test_a_damaged_picture_is_refused(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    (tmp_path / CBIS_MASS_ROW["file"]).write_bytes(b"no picture")
    with pytest.raises(UnsupportedMammogram, match="damaged"):
        dataset.read(dataset.views[0])


_PARTS = (TRAINING, VALIDATION, TEST)
PICTURES = (SHARED or Path()) / "data" / "cbis_mass_800"


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.skipif(not PICTURES.is_dir(), reason="NOT RUN: the pictures of shared/data/cbis_mass_800 are not there")
def test_the_guard_accepts_real_films_and_no_woman_is_in_two_parts() -> None:
    dataset = open_cbis_mass(PICTURES)
    women = {part: {view.study_id for view in dataset.views if view.split == part} for part in _PARTS}
    assert (len(dataset.views), [len(women[part]) for part in _PARTS]) == (1231, [450, 94, 147])
    assert sum(map(len, women.values())) == len(set().union(*women.values())) == 691
    for view in dataset.views[:: len(dataset.views) // 10]:
        prepare(dataset.read(view))
