"""Tests of phantoms as a data set."""

import pickle

import numpy as np
import pytest

from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.phantoms import DEFAULT_MIX, PhantomMix, open_phantoms
from glam_node.research.datasets.problems import DatasetError

BOTH = PhantomMix(normal=0, benign=0, malignant=0, both=1)


def small(seeds: range | str = range(4), mix: PhantomMix = DEFAULT_MIX) -> ListedDataset:
    return open_phantoms(seeds, rows=128, columns=96, mix=mix)


def test_each_seed_is_an_exam_of_four_views() -> None:
    views = small(range(3)).views
    assert len(views) == 12
    assert len({view.image_id for view in views}) == 12
    assert {view.study_id for view in views} == {"phantom-000000", "phantom-000001", "phantom-000002"}


def test_the_lesions_of_a_seed_do_not_depend_on_the_range() -> None:
    few, many = small(range(5, 8)).views, small(range(20)).views
    assert set(few) <= set(many)


def test_a_few_seeds_hold_every_combination_of_labels() -> None:
    labels = {view.labels for view in small(range(20)).views}
    assert labels == {(False, False), (True, False), (False, True), (True, True)}


@pytest.mark.parametrize("place", range(8))
def test_labels_and_masks_agree(place: int) -> None:
    phantoms = small(range(2))
    view = phantoms.views[place]
    masks = phantoms.masks(view)
    assert masks is not None
    assert (bool(masks[FindingKind.BENIGN].any()), bool(masks[FindingKind.MALIGNANT].any())) == view.labels


def test_masks_lie_on_the_grid_of_the_pixels_where_the_lesions_are() -> None:
    phantoms = small(mix=BOTH)
    view = phantoms.views[0]
    pixels, masks = phantoms.read(view).pixels, phantoms.masks(view)
    assert masks is not None
    assert np.median(pixels[masks[FindingKind.BENIGN]]) > np.percentile(pixels[~masks[FindingKind.BENIGN]], 99)


def test_the_requested_view_is_read() -> None:
    phantoms = small()
    for view in phantoms.views[:4]:
        mammogram = phantoms.read(view)
        assert (mammogram.image_laterality, mammogram.view_position) == (view.image_laterality, view.view_position)
        assert mammogram.shape == (128, 96)


def test_seeds_may_be_written_as_text() -> None:
    assert small("2:4").views == small(range(2, 4)).views


@pytest.mark.parametrize("seeds", ["", "5", "5:", "5:5", "-1:3", "a:b"])
def test_text_that_is_not_a_range_of_seeds_is_refused(seeds: str) -> None:
    with pytest.raises(DatasetError, match="first:end"):
        open_phantoms(seeds)


def test_images_too_small_for_a_phantom_are_refused() -> None:
    with pytest.raises(DatasetError, match="64 x 48"):
        open_phantoms(range(1), rows=32, columns=32)


def test_a_data_set_can_be_copied_to_worker_processes() -> None:
    phantoms = small(range(1))
    copy = pickle.loads(pickle.dumps(phantoms))
    assert (copy.read(copy.views[0]).pixels == phantoms.read(phantoms.views[0]).pixels).all()
