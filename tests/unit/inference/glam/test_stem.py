"""The stem in bands is the stem."""

import pytest
import torch
from torch import nn

from glam_node.inference.glam.stem import BandedStem


@pytest.mark.parametrize("sides", [(2944, 96), (1027, 65), (261, 64), (256, 63), (12, 20)], ids=str)
def test_bands_give_what_the_whole_gives(sides: tuple[int, int]) -> None:
    convolution, pool = nn.Conv2d(1, 8, 7, 2, padding=3, bias=False), nn.MaxPool2d(3, 2)
    windows = torch.randn(2, 1, *sides, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, banded = pool(convolution(windows)), BandedStem(convolution, pool)(windows)
    torch.testing.assert_close(banded, whole, rtol=0, atol=1e-6)
