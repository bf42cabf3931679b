"""The local network in float32 by Winograd's convolutions: the same values with a quarter of the multiplications.

The method is F(4 x 4, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, with
interpolation points 0, 3/4, -3/4, 3/2, -3/2 and infinity: the matrices for tiles are exact in float32, and the error
of a convolution is a quarter of that with the usual points 0, 1, -1, 2, -2.
"""

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from glam_node.inference.glam.backbone import BasicBlock, LocalTrunk
from glam_node.inference.glam.device import give_back_freed
from glam_node.inference.glam.network import LocalNetwork

TILE = 4
"""Side of an output tile."""
_SEEN = TILE + 2
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
# Rows times channels per band: few enough that intermediate results stay in the processor's cache, and enough for
# matrix products to be fast.
_AT_ONCE = 8 * 512
# With fewer channels, rearranging the values costs more than the saved multiplications.
_LEAST_CHANNELS = 128


class WinogradLocalNetwork(nn.Module):
    """Replacement for a folded LocalNetwork on the CPU; the sides of its maps must be multiples of four."""

    def __init__(self, network: LocalNetwork) -> None:
        super().__init__()
        self._network = network
        self._scratch = _Scratch()
        trunk = network.dn_resnet
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            for index, block in enumerate(stage):
                if min(cast(BasicBlock, block).conv1.weight.shape[:2]) >= _LEAST_CHANNELS:
                    stage[index] = _WinogradBlock(cast(BasicBlock, block), self._scratch)

    @property
    def dn_resnet(self) -> LocalTrunk:
        """The trunk, whose stages return the same values as before."""
        return self._network.dn_resnet

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x 512 x 512 to saliency of N x 2 x 128 x 128, 0 to 1."""
        try:
            return cast(Tensor, self._network(patches))
        finally:
            self._scratch.clear()


class _Scratch:
    """Memory that all convolutions share in turn, since allocating fresh memory takes longer than computing."""

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Return uninitialised memory that belongs to the caller until `name` is taken again."""
        count = prod(shape)
        if name not in self._blocks or self._blocks[name].numel() < count:
            self._blocks.pop(name, None)
            self._blocks[name] = torch.empty(count)
        return self._blocks[name][:count].view(shape)

    def clear(self) -> None:
        """Free all blocks."""
        self._blocks.clear()


class _WinogradBlock(nn.Module):
    """Replacement for a folded BasicBlock."""

    def __init__(self, block: BasicBlock, scratch: _Scratch) -> None:
        super().__init__()
        self._conv1, self._conv2 = (_WinogradConvolution(conv, scratch) for conv in (block.conv1, block.conv2))
        self._downsample = block.downsample
        self._scratch = scratch

    def forward(self, x: Tensor) -> Tensor:
        """Map features from N x in x H x W to N x out x H x W, channels last; overwrites `x` if the width stays."""
        images = x.permute(0, 2, 3, 1)
        if self._downsample is not None:
            # Blocks taken for narrower maps are too small for these.
            self._scratch.clear()
            give_back_freed()
        inner = self._scratch.take("inner", *images.shape[:3], self._conv1.channels[1])
        self._conv1.write(images, inner)
        result = images if self._downsample is None else self._downsample(x).permute(0, 2, 3, 1)
        self._conv2.add(inner, result)
        return result.permute(0, 3, 1, 2)


class _WinogradConvolution:
    """A 3 x 3 convolution that keeps the size, followed by ReLU."""

    def __init__(self, convolution: nn.Conv2d, scratch: _Scratch) -> None:
        weight = convolution.weight.detach()
        self.channels = (weight.shape[1], weight.shape[0])
        self._kernels = weight.permute(2, 3, 1, 0).reshape(9, -1).contiguous()
        self._bias = cast(Tensor, convolution.bias).detach()
        self._rows = max(_AT_ONCE // max(self.channels) // TILE, 1) * TILE
        self._take = scratch.take

    def write(self, images: Tensor, results: Tensor) -> None:
        """Set `results` to relu(convolution(images)); both are N x H x W x channels."""
        for tiles, places in self._bands(images, results):
            torch.clamp(tiles, min=0.0, out=places)

    def add(self, images: Tensor, results: Tensor) -> None:
        """Set `results` to relu(convolution(images) + results); both are N x H x W x channels."""
        for tiles, places in self._bands(images, results):
            torch.clamp(tiles.add_(places), min=0.0, out=places)

    def _bands(self, images: Tensor, results: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the convolution's output band by band, with the view of `results` that it belongs to."""
        kernels = torch.mm(_matrices()[1], self._kernels, out=self._take("kernels", 36, self._kernels.shape[1]))
        height = images.shape[1]
        for image, result in zip(images, results, strict=True):
            for top in range(0, height, self._rows):
                rows = slice(top, min(top + self._rows, height))
                yield self._convolve(self._padded(image, rows), kernels), _in_tiles(result[rows])

    def _padded(self, image: Tensor, rows: slice) -> Tensor:
        """Return these rows with one pixel more on each side, 0 outside the image."""
        height, width, channels = image.shape
        padded = self._take("padded", rows.stop - rows.start + 2, width + 2, channels)
        padded[:, 0] = padded[:, -1] = 0.0
        first, last = max(rows.start - 1, 0), min(rows.stop + 1, height)
        offset = first - rows.start + 1
        padded[:offset] = padded[offset + last - first :] = 0.0
        padded[offset : offset + last - first, 1:-1] = image[first:last]
        return padded

    def _convolve(self, padded: Tensor, kernels: Tensor) -> Tensor:
        """Convolve (H + 2) x (W + 2) x in to 4 x 4 x H/4 x W/4 x out, and add the bias."""
        into, _, back = _matrices()
        inputs, outputs = self.channels
        tiles = padded.unfold(0, _SEEN, TILE).unfold(1, _SEEN, TILE).permute(3, 4, 0, 1, 2)
        down, across = tiles.shape[2:4]
        count = down * across
        seen = self._take("seen", *tiles.shape).copy_(tiles).view(36, -1)
        entered = torch.mm(into, seen, out=self._take("entered", 36, count * inputs)).view(36, count, inputs)
        # Each step overwrites the input of the step before the last.
        product = self._take("seen", 36, count, outputs)
        torch.bmm(entered, kernels.view(36, inputs, outputs), out=product)
        left = torch.mm(back, product.view(36, -1), out=self._take("entered", 16, count * outputs))
        return left.view(TILE, TILE, down, across, outputs).add_(self._bias)


def _in_tiles(rows: Tensor) -> Tensor:
    """Return a view of H x W x channels as 4 x 4 x H/4 x W/4 x channels."""
    height, width, channels = rows.shape
    return rows.view(height // TILE, TILE, width // TILE, TILE, channels).permute(1, 3, 0, 2, 4)


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Return the two-dimensional transforms of input tiles (36 x 36), kernels (36 x 9) and output tiles (16 x 36)."""
    points = np.array(_POINTS)
    out = np.array([[*points**power, float(power == TILE - 1)] for power in range(TILE)])
    others = [np.delete(points, index) for index in range(len(points))]
    scales = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
    kernels = np.array(
        [*([1.0, point, point**2] / scale for point, scale in zip(points, scales, strict=True)), [0.0, 0.0, 1.0]]
    )
    into = np.zeros((_SEEN, _SEEN))
    for index, roots in enumerate(others):
        into[index, :-1] = np.poly(roots)[::-1]
    into[-1] = np.poly(points)[::-1]
    first, second, third = (torch.from_numpy(np.kron(one, one)).float() for one in (into, kernels, out))
    return first, second, third
