"""The UNTRAINED network, created once."""

import pytest
import torch

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.weights import StateDict, network_from, seeded_state_dict

SEED = 128


@pytest.fixture(scope="session")
def state() -> StateDict:
    """Return the tensors of the seed; copy them before changing any."""
    return seeded_state_dict(SEED)[0]


@pytest.fixture(scope="session")
def network(state: StateDict) -> Glam:
    """Return the network with published weights, without folding."""
    return network_from(state).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    """Return two small windows that differ: noise over a ramp."""
    generator = torch.Generator().manual_seed(7)
    ramp = torch.linspace(-1, 2, 768).expand(2, 1, 640, 768)
    return ramp + torch.randn(2, 1, 640, 768, generator=generator) * 0.3
