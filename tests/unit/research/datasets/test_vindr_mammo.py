"""Tests with an imitation of VinDr-Mammo 1.0.0: two exams of two views."""

from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.bi_rads import BiRadsRule
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.vindr_mammo import open_vindr_mammo
from tests.unit.research.datasets.imitated import NO_FINDING, vindr_mammo
from tests.unit.research.datasets.tiny import box, mammogram, write


@pytest.fixture
def opened(tmp_path: Path) -> ListedDataset:
    breasts = [
        {},
        {"image_id": "cc02", "view_position": "MLO"},
        {"study_id": "aa12", "image_id": "cc03", "laterality": "R", "breast_birads": "BI-RADS 1", "split": "test"},
    ]
    findings = [{}, {"image_id": "cc02", "finding_categories": "['No Finding']", **NO_FINDING}]
    write(tmp_path / "images" / "aa11" / "cc01.dicom", mammogram("L", "CC"))
    return open_vindr_mammo(vindr_mammo(tmp_path, breasts, findings))


def by_id(dataset: ListedDataset, image_id: str) -> LabelledView:
    return next(view for view in dataset.views if view.image_id == image_id)


def test_views_have_the_labels_of_their_breast_and_the_published_split(opened: ListedDataset) -> None:
    assert [(view.image_id, view.labels, view.split) for view in opened.views] == [
        ("cc01", (False, True), "training"),
        ("cc02", (False, True), "training"),
        ("cc03", (False, False), "test"),
    ]
    assert {view.breast_density for view in opened.views} == {"C"}


def test_an_image_is_read_from_its_study(opened: ListedDataset) -> None:
    assert opened.read(by_id(opened, "cc01")).shape == (64, 48)


def test_a_box_becomes_a_mask_cut_at_the_image(opened: ListedDataset) -> None:
    masks = opened.masks(by_id(opened, "cc01"))
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (10, 19, 0, 11)
    assert not masks[FindingKind.BENIGN].any()


def test_a_view_without_boxes_has_no_masks(opened: ListedDataset) -> None:
    assert opened.masks(by_id(opened, "cc02")) is None


def test_the_name_says_that_masks_are_boxes(opened: ListedDataset) -> None:
    assert "boxes" in opened.name


def test_listing_needs_no_image(tmp_path: Path) -> None:
    assert len(open_vindr_mammo(vindr_mammo(tmp_path, [{}], [{}])).views) == 1


def test_a_missing_image_is_refused_when_it_is_read(opened: ListedDataset) -> None:
    with pytest.raises(UnsupportedMammogram, match="No such file"):
        opened.read(by_id(opened, "cc03"))


def test_a_finding_of_another_kind_than_the_breast_labels_it_as_well(tmp_path: Path) -> None:
    dataset = open_vindr_mammo(vindr_mammo(tmp_path, [{}], [{"finding_birads": "BI-RADS 3"}]))
    assert dataset.views[0].labels == (True, True)


def test_the_rule_is_a_parameter(tmp_path: Path) -> None:
    cautious = BiRadsRule(benign=frozenset({2, 3, 4}), malignant=frozenset({5, 6}))
    dataset = open_vindr_mammo(vindr_mammo(tmp_path, [{}], [{}]), rule=cautious)
    assert dataset.views[0].labels == (True, False)


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    bad = [{"breast_birads": "?"}, {"laterality": "X"}, {"image_id": "../x"}, {"view_position": "ML"}]
    with pytest.raises(DatasetError) as caught:
        _ = open_vindr_mammo(vindr_mammo(tmp_path, bad, [{}])).views
    assert [(problem.row, problem.column) for problem in caught.value.problems] == [
        (2, "breast_birads"),
        (3, "laterality"),
        (4, "image_id"),
        (5, "view_position"),
    ]


def test_a_box_whose_corner_is_not_a_number_is_a_bad_row(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"finding_annotations.csv.*\n.*row 2, column 'xmin'"):
        _ = open_vindr_mammo(vindr_mammo(tmp_path, [{}], [{"xmin": "wide"}])).views


def test_an_image_that_says_another_laterality_is_refused(opened: ListedDataset, tmp_path: Path) -> None:
    view = by_id(opened, "cc01")
    write(tmp_path / "images" / "aa11" / "cc01.dicom", mammogram("R", "CC"))
    with pytest.raises(UnsupportedMammogram, match="states another laterality than its labels, which state L"):
        opened.read(replace(view))
