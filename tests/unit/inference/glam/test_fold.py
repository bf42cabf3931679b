"""Tests that folding changes no value beyond rounding."""

import pytest
import torch

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.weights import StateDict
from tests import networks


@pytest.fixture(scope="module")
def folded(state: StateDict) -> Glam:
    return networks.folded(state)


def test_folding_keeps_scores_within_2e_6(network: Glam, folded: Glam, windows: torch.Tensor) -> None:
    plain, merged = network.global_network(windows), folded.global_network(windows)
    torch.testing.assert_close(merged.scores, plain.scores, rtol=0, atol=2e-6)
    torch.testing.assert_close(merged.saliency, plain.saliency, rtol=0, atol=1e-5)


def test_folding_keeps_local_saliency_within_2e_5(network: Glam, folded: Glam, windows: torch.Tensor) -> None:
    patches = windows[:, :, :128, :128]
    plain, merged = network.detection_network(patches), folded.detection_network(patches)
    torch.testing.assert_close(merged, plain, rtol=0, atol=2e-5)


def test_the_folded_stem_sees_one_channel(folded: Glam) -> None:
    assert folded.detection_network.dn_resnet.conv1.in_channels == 1
