"""GLAM as one module: global network, patch proposal and local network, with all intermediate results."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from glam_node.inference.glam.backbone import GlobalTrunk, LocalTrunk
from glam_node.inference.glam.patches import cut_patches, propose_patches
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape


def closed(maps: Tensor, radius: int) -> Tensor:
    """Return the grey closing of maps (N x C x H x W) by squares of 2 `radius` + 1 cells (Serra 1982).

    The result is nowhere below `maps`, and equal to it for radius 0. Saliency counts as 0 outside a map, so gaps at
    its edges stay open.
    """
    if not radius:
        return maps
    side = 2 * radius + 1
    largest = max_pool2d(pad(maps, [radius] * 4), side, stride=1, padding=radius)
    return -max_pool2d(-largest, side, stride=1)


TOP_FRACTION = 0.03


def top_fraction_mean(maps: Tensor, fraction: float = TOP_FRACTION) -> Tensor:
    """Return the mean of the largest `fraction` (at least one) of each map's values: N x C from N x C x H x W."""
    values = maps.flatten(2)
    count = max(1, round(values.shape[2] * fraction))
    return values.topk(count, dim=2, sorted=False).values.mean(dim=2)


@dataclass(frozen=True, slots=True, eq=False)
class GlobalOutput:
    """Result of the global network for N windows; channel 0 is benign, channel 1 malignant."""

    layer_maps: tuple[Tensor, Tensor, Tensor]
    """Saliency at 1/16, 1/32 and 1/64 of the window's sides, each N x 2 x H x W, 0 to 1."""
    saliency: Tensor
    """The weighted sum of the maps at 1/16: N x 2 x 184 x 120 for the usual window."""
    layer_scores: Tensor
    """N x 3 x 2: the score from each map alone."""
    scores: Tensor
    """N x 2: the uncalibrated scores of each image, the model's main output."""


@dataclass(frozen=True, slots=True, eq=False)
class GlamOutput:
    """Results for N windows with k patches each."""

    overview: GlobalOutput
    patch_cells: Tensor
    """N x k x 2: first row and column of each patch in cells of the saliency map, in the order of their choice."""
    local_saliency: Tensor
    """N x k x 2 x 128 x 128: local saliency, 0 to 1, one value per 4 x 4 pixels of the patch."""
    shape: NetworkShape = PUBLISHED

    @property
    def patch_positions(self) -> Tensor:
        """N x k x 2: first row and column of each patch in pixels of the window."""
        return self.patch_cells * self.shape.cell

    def fused_saliency(self, image: int) -> Tensor:
        """Return the published fused map of one image, 2 x 2944 x 1920: (local + global) / 2.

        Local saliency is 0 outside the patches. The map is halved there, so a threshold on it outlines the patch.
        """
        fused = _replicate(self.overview.saliency[image], self.shape.cell)
        local = torch.zeros_like(fused)
        size = self.shape.patch_size
        for (row, column), saliency in zip(
            self.patch_positions[image].tolist(), self.local_saliency[image], strict=True
        ):
            local[:, row : row + size, column : column + size] = _replicate(saliency, self.shape.local_step)
        return (local + fused) / 2


def _replicate(maps: Tensor, factor: int) -> Tensor:
    return maps.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)


class SaliencyHeads(nn.Module):
    """Heads that compute three saliency maps from three depths of the trunk, and the scores of the image."""

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        self._shape = shape
        first, second, last = shape.global_channels[-3:]
        self.gn_conv_1 = nn.Conv2d(first, 2, 1, bias=shape.head_bias)
        self.gn_conv_2 = nn.Conv2d(second, 2, 1, bias=shape.head_bias)
        self.gn_conv_last = nn.Conv2d(last, 2, 1, bias=shape.head_bias)
        self.combine = nn.Conv2d(6, 2, 1, bias=False)
        """A tensor that every checkpoint contains and no computation uses."""

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> GlobalOutput:
        """Compute maps and scores from the features of the last three stages."""
        heads = (self.gn_conv_1, self.gn_conv_2, self.gn_conv_last)
        first, second, last = (head(feature).sigmoid() for head, feature in zip(heads, features, strict=True))
        size = first.shape[2:]
        second_large, last_large = interpolate(second, size=size), interpolate(last, size=size)
        maps = (first, second_large, last_large)
        fraction = self._shape.top_fraction
        layer_scores = torch.stack([top_fraction_mean(each, fraction) for each in maps], dim=1)
        fine, middle, coarse = self._shape.map_weights
        return GlobalOutput(
            layer_maps=(first, second, last),
            saliency=coarse * last_large + middle * second_large + fine * first,
            layer_scores=layer_scores,
            scores=layer_scores.sum(dim=1) / 3,
        )


class GlobalNetwork(nn.Module):
    """The network that reads whole windows, which are standardised and whose breast points right."""

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        self.downsampling_branch = GlobalTrunk(shape)
        self.postprocess_module = SaliencyHeads(shape)

    def forward(self, inputs: Tensor) -> GlobalOutput:
        """Compute maps and scores of windows of N x 1 x 2944 x 1920 (or other multiples of 64)."""
        result: GlobalOutput = self.postprocess_module(self.downsampling_branch(inputs))
        return result


class LocalNetwork(nn.Module):
    """The network that reads patches cut from the standardised windows."""

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        self.dn_resnet = LocalTrunk(shape)
        self.gn_conv_last = nn.Conv2d(shape.local_channels[-1], 2, 1, bias=shape.head_bias)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x 512 x 512 to saliency of N x 2 x 128 x 128, 0 to 1."""
        logits: Tensor = self.gn_conv_last(self.dn_resnet(patches))
        return logits.sigmoid()


class Glam(nn.Module):
    """The whole model; names in its state dict, and by default its shapes, are those of the published checkpoints."""

    def __init__(self, shape: NetworkShape = PUBLISHED) -> None:
        super().__init__()
        self.shape = shape
        self.global_network = GlobalNetwork(shape)
        self.detection_network = LocalNetwork(shape)

    def forward(self, windows: Tensor, patches_per_image: int = 1) -> GlamOutput:
        """Run both networks on standardised windows of N x 1 x 2944 x 1920."""
        return self.look(self.reduce(windows), patches_per_image)

    def look(self, inputs: Tensor, patches_per_image: int) -> GlamOutput:
        """Run both networks on windows that `reduce` returned."""
        overview: GlobalOutput = self.global_network(inputs)
        cells = propose_patches(overview.saliency, patches_per_image, self.shape.patch_cells)
        return GlamOutput(overview, cells, self.look_closely(inputs, cells), self.shape)

    def look_closely(self, inputs: Tensor, cells: Tensor) -> Tensor:
        """Return the closed local saliency, N x k x 2 x 128 x 128, of the patches at `cells`, N x k x 2."""
        saliency: Tensor = self.detection_network(cut_patches(inputs, cells, self.shape))
        filled = closed(saliency, self.shape.local_closing // self.shape.local_step)
        return filled.reshape(*cells.shape[:2], *filled.shape[1:])

    def reduce(self, windows: Tensor) -> Tensor:
        """Return the input of both networks: `windows` averaged over squares of `shape.reduction` pixels."""
        return windows if self.shape.reduction == 1 else avg_pool2d(windows, self.shape.reduction)
