"""Networks that a recipe can train: GLAM, and the baselines that it is compared with.

The baselines are class activation maps, and one global map with attention over patches. They are written from the
papers, on GLAM's own trunks, input and patch proposal, without the published code.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glam_node.inference.glam.backbone import GlobalTrunk, LocalTrunk
from glam_node.inference.glam.network import Glam, GlamOutput, GlobalOutput, top_fraction_mean
from glam_node.inference.glam.patches import cut_patches, propose_patches
from glam_node.inference.glam.shape import NetworkShape

_HEAD_DEVIATION = 0.05
# With a bias of 0 every pixel would start at 0.5, and the first steps would learn nothing but sparsity.
_HEAD_BIAS = -2.5


def reduced(window: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Average `window` over squares of `side` pixels."""
    squares = window.reshape(window.shape[0] // side, side, window.shape[1] // side, side)
    return np.asarray(squares.mean(axis=(1, 3)))


def new_network(shape: NetworkShape, seed: int) -> Glam:
    """Return a GLAM of `shape` with random weights that depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Glam(shape)
        heads = network.global_network.postprocess_module
        # This part of every checkpoint is not used; several processes would wait for its gradient.
        heads.combine.requires_grad_(False)
        for head in (heads.gn_conv_1, heads.gn_conv_2, heads.gn_conv_last, network.detection_network.gn_conv_last):
            start_head(head)
    return network


def start_head(head: nn.Conv2d) -> None:
    """Initialise a saliency head so that its map starts low, with little contrast."""
    nn.init.normal_(head.weight, 0.0, _HEAD_DEVIATION)
    if head.bias is not None:
        nn.init.constant_(head.bias, _HEAD_BIAS)


_CLASSES = 2
_MOMENTUM = 0.02


class CamNetwork(nn.Module):
    """A classifier of average-pooled features; its map applies the class weights to the features (Zhou et al. 2016)."""

    scale: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.trunk = GlobalTrunk(shape)
        self.head = nn.Conv2d(shape.global_channels[-1], _CLASSES, 1)
        self.register_buffer("scale", torch.ones(()))
        """The typical maximum of a training image's evidence, which maps to 0.75."""

    def evidence(self, inputs: Tensor) -> Tensor:
        """Return the evidence, N x 2 x h x w in float32, of views of N x 1 x H x W; its spatial mean is the logit.

        Averaging after the class weights equals averaging before them, since both are linear.
        """
        evidence: Tensor = self.head(self.trunk(inputs)[-1]).float()
        if self.training:
            self.scale.lerp_(evidence.detach().abs().amax(dim=(1, 2, 3)).mean(), _MOMENTUM)
        return evidence

    def forward(self, inputs: Tensor) -> GlobalOutput:
        """Compute map and scores of views of N x 1 x H x W."""
        evidence = self.evidence(inputs)
        return _of_one_map(squash(evidence, self.scale), evidence.mean(dim=(2, 3)).sigmoid())


def squash(evidence: Tensor, scale: Tensor) -> Tensor:
    """Map evidence to 0 .. 1 in the same order, with 0.5 for no evidence.

    A sigmoid would saturate and lose the order: a lesion that covers a thousandth of the image has evidence of some
    thousands.
    """
    return 0.5 + 0.5 * evidence / (evidence.abs() + scale)


class GmicGlobal(nn.Module):
    """A global network with one saliency map; the score is the mean of its largest values."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self._top_fraction = shape.top_fraction
        self.trunk = GlobalTrunk(shape)
        self.head = nn.Conv2d(shape.global_channels[-1], _CLASSES, 1, bias=shape.head_bias)

    def forward(self, inputs: Tensor) -> GlobalOutput:
        """Compute map and scores of views of N x 1 x H x W."""
        saliency = self.head(self.trunk(inputs)[-1]).sigmoid()
        return _of_one_map(saliency, top_fraction_mean(saliency, self._top_fraction))


class GmicLocal(nn.Module):
    """A classifier of all patches of an image together, weighted by gated attention (Ilse et al. 2018)."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        width = shape.local_channels[-1]
        self.trunk = LocalTrunk(shape)
        self.attention_value = nn.Linear(width, width)
        self.attention_gate = nn.Linear(width, width)
        self.attention = nn.Linear(width, 1)
        self.classes = nn.Linear(width, _CLASSES)

    def forward(self, patches: Tensor, images: int) -> Tensor:
        """Return the logits, B x 2 in float32, of patches of B*k x 1 x S x S that belong to B images."""
        vectors = self.trunk(patches).mean(dim=(2, 3)).reshape(images, -1, self.classes.in_features)
        gated = self.attention_value(vectors).tanh() * self.attention_gate(vectors).sigmoid()
        weights = self.attention(gated).softmax(dim=1)
        logits: Tensor = self.classes((weights * vectors).sum(dim=1))
        return logits.float()


class Cam(nn.Module):
    """A class activation map with the interface of GLAM and without patches."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.global_network = CamNetwork(shape)

    def look(self, inputs: Tensor, patches_per_image: int) -> GlamOutput:  # noqa: ARG002 - as GLAM is called
        """Compute map and scores of reduced windows."""
        return _without_patches(self.global_network(inputs), self.shape)


class Gmic(nn.Module):
    """A network like GMIC: a global map, which is the result, and proposed patches aggregated by attention."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.global_network = GmicGlobal(shape)
        self.local_network = GmicLocal(shape)

    def look(self, inputs: Tensor, patches_per_image: int) -> GlamOutput:
        """Compute map and scores of reduced windows; a score is the mean of the map's score and the patches' score."""
        overview: GlobalOutput = self.global_network(inputs)
        local = self.patch_logits(inputs, overview.saliency, patches_per_image).sigmoid()
        return _without_patches(_of_one_map(overview.saliency, (overview.scores + local) / 2), self.shape)

    def patch_logits(self, inputs: Tensor, saliency: Tensor, patches_per_image: int) -> Tensor:
        """Return the logits, B x 2, of the patches that `saliency` proposes without a gradient."""
        cells = propose_patches(saliency.detach().float(), patches_per_image, self.shape.patch_cells)
        logits: Tensor = self.local_network(cut_patches(inputs, cells, self.shape), len(inputs))
        return logits


Learner = Glam | Cam | Gmic
"""A network that a recipe can train."""


def new_learner(baseline: str, shape: NetworkShape, seed: int) -> Learner:
    """Return GLAM ("") or a baseline ("cam", "gmic") with random weights that depend on `seed` alone."""
    if not baseline:
        return new_network(shape, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if baseline == "cam":
            return Cam(shape)
        network = Gmic(shape)
        start_head(network.global_network.head)
    return network


def _of_one_map(saliency: Tensor, scores: Tensor) -> GlobalOutput:
    layer_scores = scores[:, None].expand(-1, 3, -1)
    return GlobalOutput((saliency, saliency, saliency), saliency, layer_scores, scores)


def _without_patches(overview: GlobalOutput, shape: NetworkShape) -> GlamOutput:
    """Return an output without patches."""
    count = len(overview.scores)
    cells = torch.zeros((count, 0, 2), dtype=torch.long, device=overview.scores.device)
    return GlamOutput(overview, cells, overview.scores.new_zeros((count, 0, _CLASSES, 1, 1)), shape)
