"""Tests of the networks: names, shapes, and independence of the other images in a batch."""

import json
from dataclasses import replace

import pytest
import torch

from glam_node.inference.glam.network import Glam, GlobalOutput
from glam_node.inference.glam.shape import PUBLISHED
from glam_node.inference.glam.weights import expected_tensors
from tests.shared_data import SHARED, needs_shared_data


@pytest.fixture(scope="module")
def overview(network: Glam, windows: torch.Tensor) -> GlobalOutput:
    output: GlobalOutput = network.global_network(windows)
    return output


def test_the_network_has_the_tensors_and_parameters_of_the_published_checkpoints() -> None:
    tensors = expected_tensors()
    sizes = [torch.Size(shape).numel() for shape, dtype in tensors.values() if dtype is torch.float32]
    assert (len(tensors), len(sizes), sum(sizes)) == (352, 295, 24_107_164)


@needs_shared_data
@pytest.mark.shared_data
def test_names_shapes_types_and_order_are_those_of_the_published_checkpoints() -> None:
    assert SHARED is not None
    published = json.loads((SHARED / "golden" / "glam-state-dict.json").read_text())["keys"]
    ours = [
        (name, list(shape), str(dtype).removeprefix("torch.")) for name, (shape, dtype) in expected_tensors().items()
    ]
    assert ours == [(tensor["name"], tensor["shape"], tensor["dtype"]) for tensor in published]


def test_the_maps_have_a_sixteenth_to_a_sixty_fourth_of_the_windows_sides(overview: GlobalOutput) -> None:
    assert [tuple(maps.shape) for maps in overview.layer_maps] == [(2, 2, 40, 48), (2, 2, 20, 24), (2, 2, 10, 12)]
    assert tuple(overview.saliency.shape) == (2, 2, 40, 48)


def test_the_score_is_the_mean_of_the_scores_of_the_three_maps(overview: GlobalOutput) -> None:
    torch.testing.assert_close(overview.scores, overview.layer_scores.mean(dim=1))


def test_the_saliency_weighs_the_middle_map_most(overview: GlobalOutput) -> None:
    first, second, last = (maps[0, 1] for maps in overview.layer_maps)
    expected = 0.2 * first[13, 22] + 0.6 * second[6, 11] + 0.2 * last[3, 5]
    torch.testing.assert_close(overview.saliency[0, 1, 13, 22], expected)


def test_a_batch_of_two_gives_what_two_batches_of_one_give(
    network: Glam, windows: torch.Tensor, overview: GlobalOutput
) -> None:
    alone = torch.cat([network.global_network(window[None]).saliency for window in windows])
    torch.testing.assert_close(overview.saliency, alone, rtol=0, atol=1e-6)


def test_the_same_window_gives_the_same_bits(network: Glam, windows: torch.Tensor, overview: GlobalOutput) -> None:
    again: GlobalOutput = network.global_network(windows)
    assert torch.equal(again.saliency, overview.saliency)
    assert torch.equal(again.scores, overview.scores)


def test_the_local_network_keeps_a_quarter_of_the_patchs_sides(network: Glam) -> None:
    assert tuple(network.detection_network(torch.zeros(3, 1, 64, 96)).shape) == (3, 2, 16, 24)


@pytest.fixture(scope="module")
def thin() -> Glam:
    """Return the published network with few channels in the local one; only the places of values matter here."""
    torch.manual_seed(5)
    return Glam(replace(PUBLISHED, local_channels=(4, 4, 4, 4))).eval().requires_grad_(False)


def test_the_network_returns_all_intermediate_results(thin: Glam, windows: torch.Tensor) -> None:
    output = thin(windows[:1], 2)
    assert tuple(output.patch_cells.shape) == (1, 2, 2)
    assert tuple(output.local_saliency.shape) == (1, 2, 2, 128, 128)
    assert torch.equal(output.patch_positions, output.patch_cells * 16)


def test_the_fused_map_is_half_the_global_one_outside_the_patch_and_the_mean_inside(
    thin: Glam, windows: torch.Tensor
) -> None:
    output = thin(windows[:1], 1)
    fused = output.fused_saliency(0)
    row, column = output.patch_positions[0, 0].tolist()
    outside = (0, 0) if row or column else (639, 767)
    assert fused[0][outside] == output.overview.saliency[0, 0, outside[0] // 16, outside[1] // 16] / 2
    mean = (output.local_saliency[0, 0, 1, 5, 9] + output.overview.saliency[0, 1, row // 16 + 1, column // 16 + 2]) / 2
    torch.testing.assert_close(fused[1, row + 20, column + 36], mean)
