"""Tests that Winograd's convolutions equal plain ones, almost within float32 rounding."""

import pytest
import torch

from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.routes import Route, take_route
from glam_node.inference.glam.shape import NetworkShape
from glam_node.inference.glam.winograd import WinogradLocalNetwork
from glam_node.inference.options import Runtime

WIDE = NetworkShape(local_channels=(128, 128, 128, 256), local_blocks=(0, 1, 2, 1))
ODD = NetworkShape(
    global_stem_pool=False,
    global_strides=(1, 1, 1, 1, 1),
    local_channels=(128, 128, 128, 128),
    local_blocks=(1, 0, 0, 0),
    local_stem_pool=False,
    patch_size=20,
)


@pytest.fixture(scope="module")
def networks() -> tuple[Glam, Glam]:
    """Return the plain network in float64, and the same network with Winograd's convolutions in float32."""
    torch.manual_seed(4)
    plain = Glam(WIDE).eval()
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, std=0.1)
    narrow = Glam(WIDE).eval()
    narrow.load_state_dict(plain.state_dict())
    return plain.double(), take_route(fold_for_inference(narrow), Route(Runtime.TORCH), threads=1)


@pytest.mark.parametrize("sides", [(256, 256), (208, 80), (16, 16)], ids=str)
def test_the_saliency_equals_that_of_float64(networks: tuple[Glam, Glam], sides: tuple[int, int]) -> None:
    plain, winograd = networks
    assert isinstance(winograd.detection_network, WinogradLocalNetwork)
    patches = torch.randn(2, 1, *sides, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected, got = plain.detection_network(patches.double()), winograd.detection_network(patches)
    assert expected.std() > 0.01, "a saliency that says nothing proves nothing"
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=5e-6)


def test_patches_are_independent_of_each_other(networks: tuple[Glam, Glam]) -> None:
    _, winograd = networks
    patches = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        together = winograd.detection_network(patches)
        alone = torch.cat([winograd.detection_network(patch[None]) for patch in patches])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_maps_that_tiles_do_not_fill_keep_their_convolutions() -> None:
    assert ODD.patch_size // ODD.local_step == 10
    network = take_route(fold_for_inference(Glam(ODD).eval()), Route(Runtime.TORCH), threads=1)
    assert not isinstance(network.detection_network, WinogradLocalNetwork)
