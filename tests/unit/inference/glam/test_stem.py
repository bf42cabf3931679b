"""Tests that the global trunk in bands equals the whole trunk."""

import pytest
import torch

from glam_node.inference.glam.backbone import GlobalTrunk
from glam_node.inference.glam.shape import NetworkShape
from glam_node.inference.glam.stem import BandedTrunk

SHAPES = {
    "published, narrow": NetworkShape(global_stem_channels=4, global_channels=(4, 6, 4, 4, 4)),
    "nothing before the heads": NetworkShape(
        global_stem_channels=4, global_channels=(4, 4, 4), global_strides=(1, 2, 2), global_blocks=1
    ),
    "reduced from the beginning": NetworkShape(
        global_stem_channels=4, global_channels=(4, 4, 4, 4, 4), global_strides=(2, 2, 1, 2, 2), global_blocks=1
    ),
}


@pytest.mark.parametrize("sides", [(2944, 96), (1027, 65), (769, 64), (256, 63), (12, 20)], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_bands_give_the_same_features_as_the_whole(name: str, sides: tuple[int, int]) -> None:
    torch.manual_seed(2)
    trunk = GlobalTrunk(SHAPES[name]).eval()
    windows = torch.randn(2, 1, *sides, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, banded = trunk(windows), BandedTrunk(trunk)(windows)
    for one, other in zip(banded, whole, strict=True):
        assert whole[0].std() > 0.01
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
