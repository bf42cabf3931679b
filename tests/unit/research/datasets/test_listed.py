"""Tests of the data set that every loader returns."""

from collections.abc import Callable

import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.problems import DatasetError


def entry(image_id: str, read: Callable[[], Mammogram] | None = None) -> Entry:
    view = LabelledView(image_id, "study", Laterality.LEFT, ViewPosition.CC, False, True)
    return Entry(view, read or missing)


def missing() -> Mammogram:
    raise FileNotFoundError(2, "No such file or directory", "/data/Mustermann^Erika/1.dcm")


def test_entries_are_listed_once_and_only_when_needed() -> None:
    asked = []
    dataset = ListedDataset("set", lambda: asked.append(1) or [entry("a")])  # type: ignore[func-returns-value]
    assert asked == []
    assert dataset.views == dataset.views
    assert asked == [1]


def test_views_come_in_the_order_of_their_ids() -> None:
    dataset = ListedDataset("set", lambda: [entry("b"), entry("a")])
    assert [view.image_id for view in dataset.views] == ["a", "b"]


def test_an_image_listed_twice_is_refused() -> None:
    with pytest.raises(DatasetError, match="set lists 1 images more than once"):
        _ = ListedDataset("set", lambda: [entry("a"), entry("a")]).views


def test_a_data_set_without_images_is_refused() -> None:
    with pytest.raises(DatasetError, match="set has no images"):
        _ = ListedDataset("set", list).views


def test_the_error_for_a_missing_file_does_not_contain_its_path() -> None:
    dataset = ListedDataset("set", lambda: [entry("a")])
    with pytest.raises(UnsupportedMammogram) as caught:
        dataset.read(dataset.views[0])
    assert str(caught.value) == "The file of the image cannot be read: No such file or directory."


def test_a_view_without_outlines_has_no_masks() -> None:
    dataset = ListedDataset("set", lambda: [entry("a")])
    assert dataset.masks(dataset.views[0]) is None
