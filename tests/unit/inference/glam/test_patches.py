"""Tests of the choice of patches for the local network."""

import torch

from glam_node.inference.glam.patches import cut_patches, normalise, propose_patches


def map_with(*squares: tuple[int, int, float]) -> torch.Tensor:
    """Return a map of 1 x 2 x 184 x 120 that is 0 except in 32 x 32 squares at (row, column), in both classes."""
    maps = torch.zeros(1, 2, 184, 120)
    for row, column, value in squares:
        maps[:, :, row : row + 32, column : column + 32] = value
    return maps


def test_two_peaks_are_found_the_higher_one_first() -> None:
    maps = map_with((10, 20, 0.5), (100, 70, 1.0))
    assert propose_patches(maps, 2).tolist() == [[[100, 70], [10, 20]]]


def test_cells_of_chosen_squares_do_not_count_again() -> None:
    maps = map_with((100, 70, 1.0), (100, 86, 1.0))
    assert propose_patches(maps, 2).tolist() == [[[100, 70], [100, 86]]]


def test_the_first_of_equal_squares_is_chosen() -> None:
    assert propose_patches(map_with((5, 80, 1.0), (140, 3, 1.0)), 1).tolist() == [[[5, 80]]]


def test_both_classes_count_equally_whatever_their_range() -> None:
    maps = map_with((10, 20, 1e-3))
    maps[:, 1] = 0.0
    maps[:, 1, 100:132, 70:102] = 0.9
    assert propose_patches(maps, 2).tolist() == [[[10, 20], [100, 70]]]


def test_a_constant_map_gives_the_first_patch_and_no_nan() -> None:
    maps = torch.full((1, 2, 184, 120), 0.3)
    assert normalise(maps).abs().max() == 0
    assert propose_patches(maps, 1).tolist() == [[[0, 0]]]


def test_images_of_a_batch_have_patches_of_their_own() -> None:
    maps = torch.cat((map_with((10, 20, 1.0)), map_with((100, 70, 1.0))))
    assert propose_patches(maps, 1).tolist() == [[[10, 20]], [[100, 70]]]


def test_the_last_patch_still_lies_within_the_window() -> None:
    assert propose_patches(map_with((152, 88, 1.0)), 1).tolist() == [[[152, 88]]]


def test_patches_are_cut_where_they_were_chosen() -> None:
    windows = torch.arange(2 * 1024 * 1024, dtype=torch.float32).reshape(2, 1, 1024, 1024)
    patches = cut_patches(windows, torch.tensor([[[0, 0], [3, 5]], [[32, 32], [1, 2]]]))
    assert tuple(patches.shape) == (4, 1, 512, 512)
    assert torch.equal(patches[1, 0], windows[0, 0, 48:560, 80:592])
    assert torch.equal(patches[2, 0], windows[1, 0, 512:, 512:])
