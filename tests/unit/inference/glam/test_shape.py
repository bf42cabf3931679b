"""Tests that a reduced GLAM is the same network with other sizes, and that contradictory fields are named."""

import numpy as np
import pytest
import torch

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape, shape_from_table
from glam_node.inference.glam.weights import expected_tensors

REDUCED = NetworkShape(
    reduction=4,
    global_stem_channels=4,
    global_channels=(4, 4, 8, 8),
    global_strides=(1, 2, 2, 2),
    global_blocks=1,
    global_stem_pool=False,
    local_channels=(4, 4, 8, 8),
    local_blocks=(1, 1, 1, 1),
    local_stem_pool=False,
    head_bias=True,
)


def test_the_published_shape_has_cells_of_16_patches_of_32_cells_and_local_steps_of_4() -> None:
    assert (PUBLISHED.cell, PUBLISHED.patch_cells, PUBLISHED.local_step) == (16, 32, 4)


def test_a_reduced_network_gives_maps_of_the_sizes_that_its_shape_says() -> None:
    windows = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 1, 2944, 1920), dtype=np.float32))
    with torch.inference_mode():
        output = Glam(REDUCED).eval()(windows, 2)
    assert output.overview.saliency.shape == (1, 2, 2944 // REDUCED.cell, 1920 // REDUCED.cell)
    side = REDUCED.patch_size // REDUCED.local_step
    assert output.local_saliency.shape == (1, 2, 2, side, side)
    assert output.fused_saliency(0).shape == (2, 2944, 1920)


def test_heads_have_biases_where_the_shape_says_so() -> None:
    assert "detection_network.gn_conv_last.bias" in expected_tensors(REDUCED)
    assert "detection_network.gn_conv_last.bias" not in expected_tensors()


def test_a_table_changes_what_it_names_and_leaves_the_rest_as_published() -> None:
    assert shape_from_table({"reduction": 4, "global_channels": [4, 8, 16, 16, 16]}) == NetworkShape(
        reduction=4, global_channels=(4, 8, 16, 16, 16)
    )


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"reductoin": 4}, "shape.reductoin"),
        ({"reduction": "4"}, "shape.reduction"),
        ({"local_blocks": [1, 1, 1, 2.5]}, "shape.local_blocks"),
        ({"local_blocks": [1, 1]}, "shape.local_blocks"),
        ({"local_blocks": [1, 0, 1, 1]}, "shape.local_blocks: a stage without blocks"),
        ({"global_strides": [1, 2]}, "shape.global_strides"),
        ({"reduction": 7}, "cells of 112 pixels"),
        ({"local_closing": 6}, "shape.local_closing must be 0 or a multiple of the local step, 4 pixels"),
        ({"local_closing": -4}, "shape.local_closing"),
    ],
)
def test_fields_that_do_not_fit_together_are_named(table: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        shape_from_table(table)
