"""Tests that random changes keep labels true and depend on the seed alone."""

from dataclasses import replace

import pytest
import torch

from glam_node.research.training.augmentation import augment_views, batch_indices, jitter_cells, seeded
from glam_node.research.training.recipe import AugmentationRecipe

VIEWS = torch.zeros(2, 1, 46, 30)
VIEWS[:, :, 20:24, 10:14] = 5.0
STILL = AugmentationRecipe(shift_px=0, size_px=0, vertical_flip=False)


def test_a_view_is_unchanged_without_augmentation() -> None:
    torch.testing.assert_close(augment_views(VIEWS, STILL, seeded(1)), VIEWS, atol=1e-4, rtol=0)


def test_a_moved_view_keeps_its_lesion_and_is_filled_with_background() -> None:
    moved = augment_views(VIEWS - 1, AugmentationRecipe(shift_px=400, size_px=0, vertical_flip=True), seeded(3))
    assert moved.amin() == pytest.approx(-1.0)
    assert (moved + 1).sum(dim=(1, 2, 3)).tolist() == pytest.approx([80.0, 80.0], rel=0.02)
    assert not torch.allclose(moved, VIEWS - 1)


def test_a_turned_and_stretched_view_keeps_the_shape_of_its_lesion() -> None:
    views = torch.zeros(1, 1, 184, 120)
    views[:, :, 72:112, 50:70] = 5.0
    turned = augment_views(views, replace(STILL, rotation_degrees=90, stretch=0.2), seeded(2))
    rows, columns = (turned[0, 0] > 1).nonzero(as_tuple=True)
    cloud = torch.stack([rows, columns]).double()
    long, short = torch.linalg.eigvalsh(torch.cov(cloud)).sqrt().flip(0)
    assert 1.4 < long / short < 2.9
    assert turned.sum() == pytest.approx(4000, rel=0.05)
    assert abs(turned[0, 0, 72:112, 50:70].mean() - 5) > 0.5


def test_contrast_changes_neither_the_background_nor_the_brightest_value() -> None:
    views = torch.linspace(-1, 1, 46 * 30).reshape(1, 1, 46, 30)
    changed = augment_views(views, replace(STILL, contrast=3.0), seeded(1))
    assert [float(changed.amin()), float(changed.amax())] == pytest.approx([-1, 1], abs=1e-3)
    assert (changed - views).abs().amax() > 0.1


def test_the_same_seed_gives_the_same_views() -> None:
    recipe = AugmentationRecipe()
    first, again, other = (augment_views(VIEWS, recipe, seeded(*seed)) for seed in ((1, 2), (1, 2), (2, 1)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_view_comes_once_per_epoch_in_an_order_of_that_epoch() -> None:
    epochs = [torch.cat([batch_indices(5, step, 4, 12) for step in steps]) for steps in ((0, 1, 2), (3, 4, 5))]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


def test_batches_larger_than_the_data_set_hold_views_again() -> None:
    assert sorted(batch_indices(5, 0, 6, 3).tolist()) == [0, 0, 1, 1, 2, 2]


def test_patches_are_moved_within_the_map() -> None:
    cells = torch.tensor([[[0, 0], [14, 7]]]).repeat(50, 1, 1)
    moved = jitter_cells(cells, 3, (14, 7), seeded(1))
    assert moved.amin() == 0
    assert moved.amax(dim=(0, 1)).tolist() == [14, 7]
    assert (moved - cells).abs().amax() == 3
