"""Tests that gaps are filled as OpenCV fills them, in local saliency too if the shape of the network says so."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glam_node.inference.glam.network import Glam, closed
from glam_node.inference.glam.shape import shape_from_table
from tests.unit.inference.glam.tiny_package import SHAPE

RING = torch.zeros(1, 1, 15, 15)
RING[..., 4:11, 4:11] = 0.8
RING[..., 5:10, 5:10] = 0.1


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_closing_equals_opencvs_on_maps_padded_with_zeros(radius: int, seed: int) -> None:
    maps = np.random.default_rng(seed).random((2, 2, 9, 13), dtype=np.float32)
    square = np.ones((2 * radius + 1, 2 * radius + 1), dtype=np.uint8)
    wide = 2 * radius
    expected = [
        [cv2.morphologyEx(np.pad(each, wide), cv2.MORPH_CLOSE, square)[wide:-wide, wide:-wide] for each in channels]
        for channels in maps
    ]
    np.testing.assert_array_equal(closed(torch.from_numpy(maps), radius).numpy(), np.array(expected))


@pytest.mark.parametrize(("radius", "core"), [(0, 0.1), (2, 0.1), (3, 0.8)])
def test_a_ring_is_filled_by_squares_that_are_wider_than_its_core(radius: int, core: float) -> None:
    filled = closed(RING, radius)
    assert filled[0, 0, 7, 7].item() == pytest.approx(core)
    assert filled[0, 0, 1, 1].item() == 0


def test_gaps_at_the_edges_stay_open() -> None:
    maps = torch.zeros(1, 1, 9, 9)
    maps[..., 2, 4] = 1.0
    torch.testing.assert_close(closed(maps, 3), maps)


def test_local_saliency_is_closed_by_the_cells_of_its_shape() -> None:
    shape = shape_from_table(SHAPE)
    raw = Glam(shape).eval()
    closing = Glam(replace(shape, local_closing=2 * shape.local_step)).eval()
    closing.load_state_dict(raw.state_dict())
    windows = torch.randn(1, 1, 2944, 1920, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected, got = raw(windows, 2), closing(windows, 2)
    torch.testing.assert_close(got.local_saliency[0], closed(expected.local_saliency[0], 2), rtol=0, atol=0)
    assert not torch.equal(got.local_saliency, expected.local_saliency)
    torch.testing.assert_close(got.overview.saliency, expected.overview.saliency, rtol=0, atol=0)
