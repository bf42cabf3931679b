"""Tests that the product and the plain implementation, which were written independently, give the same values."""

import numpy as np
import pytest
import torch

from glam_node.inference.glam.crop import solid_breast
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.glam.patches import propose_patches
from glam_node.inference.glam.preprocessing import place, prepare
from glam_node.inference.glam.weights import StateDict
from glam_node.inference.glam.window import standardise
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from tests.reference.network import look_globally, look_locally, most_salient
from tests.reference.preprocessing import crop_breast, window_of

ROWS, COLUMNS = 1664, 1280


def test_scores_and_saliency_equal_those_of_the_plain_network(
    network: Glam, state: StateDict, windows: torch.Tensor
) -> None:
    overview = network.global_network(windows)
    scores, saliency = look_globally(state, windows)
    torch.testing.assert_close(overview.scores, scores, rtol=0, atol=2e-6)
    torch.testing.assert_close(overview.saliency, saliency, rtol=0, atol=1e-5)


def test_the_patch_lies_where_the_plain_network_puts_it(network: Glam, state: StateDict, windows: torch.Tensor) -> None:
    cells = propose_patches(network.global_network(windows).saliency, 1)
    saliency = look_globally(state, windows)[1]
    assert (16 * cells[:, 0]).tolist() == [list(most_salient(each)) for each in saliency]


def test_local_saliency_equals_that_of_the_plain_network(
    network: Glam, state: StateDict, windows: torch.Tensor
) -> None:
    patches = windows[:, :, :128, :128]
    plain = look_locally(state, patches)
    torch.testing.assert_close(network.detection_network(patches), plain, rtol=0, atol=2e-5)


@pytest.mark.parametrize("number", range(4))
def test_a_view_is_prepared_as_the_plain_method_does(number: int) -> None:
    mammogram = read_mammogram(make_exam(3, rows=ROWS, columns=COLUMNS)[number].dataset)
    points_right = mammogram.image_laterality is Laterality.LEFT
    view = prepare(mammogram)
    assert view.geometry.orientation.points_right == points_right
    plain = window_of(mammogram.pixels, points_right, mammogram.view_position is ViewPosition.MLO)
    np.testing.assert_allclose(view.window, plain, rtol=0, atol=1e-6)


def test_a_view_higher_and_wider_than_the_window_keeps_most_of_its_tissue_as_in_the_plain_method() -> None:
    pixels = np.zeros((3300, 2200), dtype=np.uint16)
    pixels[150:3200, :2100] = np.random.default_rng(4).integers(0, 3000, (3050, 2100))
    placement = place(pixels, solid_breast(pixels), ViewPosition.CC, Orientation(points_right=True))
    crop = crop_breast(pixels, points_right=True)
    assert (placement.crop.top, placement.crop.bottom) == (crop.top, crop.bottom)
    window = standardise(placement.geometry, pixels)
    np.testing.assert_allclose(window, window_of(pixels, True, False), rtol=0, atol=1e-6)
