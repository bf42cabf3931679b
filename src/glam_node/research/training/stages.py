"""The training stages of GLAM and of the baselines, with their losses, schedules and batches.

GLAM has three stages: the global network alone, the local network on cached patches, and both together.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.patches import cut_patches, propose_patches
from glam_node.research.models.networks import Cam, Gmic, Learner
from glam_node.research.training.augmentation import augment_patches, augment_views, jitter_cells
from glam_node.research.training.recipe import Recipe, StageRecipe
from glam_node.research.training.samples import PreparedViews

_WARM_UP = 0.05
_LEAST_RATE = 0.02
_FALL = 0.3


def learning_rate(stage: StageRecipe, done: float) -> float:
    """Return the learning rate: a linear rise over the first 5 %, then half a cosine to 2 % of the stage's rate."""
    rise = min(1.0, done / _WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return stage.learning_rate * rise * (_LEAST_RATE + (1 - _LEAST_RATE) * cosine)


def top_fraction(stage: StageRecipe, done: float) -> float:
    """Return the fraction of pooled values in the loss, which falls to the final one over the first 30 % of the stage.

    A larger fraction lets the loss include lesions that the maps do not show yet.
    """
    if stage.initial_top_fraction <= stage.top_fraction or done >= _FALL:
        return stage.top_fraction
    return stage.initial_top_fraction + (stage.top_fraction - stage.initial_top_fraction) * done / _FALL


_LEAST_PROBABILITY = 1e-5


def bag_loss(maps: Tensor, labels: Tensor, top_fraction: float, sparsity: float) -> Tensor:
    """Return the binary cross-entropy of the mean of each map's largest values, plus `sparsity` times its L1 norm.

    The norm is divided by the number of pooled values, so that one `sparsity` suits all resolutions.

    Args:
        maps: N x 2 x any shape, 0 to 1.
        labels: N x 2, 0 or 1.
        top_fraction: Part of a map's values whose mean is the score.
        sparsity: Weight of the L1 norm.

    Returns:
        A scalar in float32, the mean over images and classes.
    """
    values = maps.float().flatten(2)
    count = max(1, round(values.shape[2] * top_fraction))
    scores = values.topk(count, dim=2, sorted=False).values.mean(dim=2)
    scores = scores.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return binary_cross_entropy(scores, labels) + sparsity * values.sum(dim=2).mean() / count


_JITTER_PX = 56


class Batch(NamedTuple):
    """Input of one process in one step."""

    inputs: Tensor
    """B x 1 x H x W views, or B*k x 1 x S x S patches."""
    labels: Tensor
    """Labels, B x 2."""


Loader = Callable[[Tensor, torch.Generator], Batch]


class GlobalStage(nn.Module):
    """The loss of the global network, the mean over its three maps (Liu et al. 2021, section 2)."""

    def __init__(self, network: Glam, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.global_network
        self._recipe = recipe.global_stage

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:
        """Return the scalar loss of the batch."""
        maps = self.network(batch.inputs).layer_maps
        losses = [bag_loss(each, batch.labels, top_fraction, self._recipe.sparsity) for each in maps]
        return torch.stack(losses).mean()


class LocalStage(nn.Module):
    """The loss of the local network; all patches of an image form one bag with the image's labels."""

    def __init__(self, network: Glam, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.detection_network
        self._recipe = recipe.local_stage

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:
        """Return the scalar loss of the batch."""
        return local_loss(self.network(batch.inputs), batch.labels, top_fraction, self._recipe.sparsity)


class JointStage(nn.Module):
    """The sum of both losses; the current network proposes patches in each step, without a gradient."""

    def __init__(self, network: Glam, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:
        """Return the scalar loss of the batch."""
        shape, sparsity = self.network.shape, self._recipe.joint_stage.sparsity
        overview = self.network.global_network(batch.inputs)
        cells = propose_patches(overview.saliency.detach().float(), self._recipe.patches_per_image, shape.patch_cells)
        local = self.network.detection_network(cut_patches(batch.inputs, cells, shape))
        losses = [bag_loss(each, batch.labels, top_fraction, sparsity) for each in overview.layer_maps]
        return torch.stack(losses).mean() + local_loss(
            local, batch.labels, self._recipe.local_joint_top_fraction, sparsity
        )


def local_loss(patch_maps: Tensor, labels: Tensor, top_fraction: float, sparsity: float) -> Tensor:
    """Return the `bag_loss` of B*k x 2 x S x S maps that belong to B images."""
    bags = patch_maps.reshape(len(labels), -1, *patch_maps.shape[1:]).transpose(1, 2)
    return bag_loss(bags, labels, top_fraction, sparsity)


def view_loader(views: PreparedViews, recipe: Recipe, device: torch.device) -> Loader:
    """Return a loader of batches of whole views, augmented."""

    def load(indices: Tensor, generator: torch.Generator) -> Batch:
        inputs, labels = views.batch(indices)
        return Batch(augment_views(inputs.to(device), recipe.augmentation, generator), labels.to(device))

    return load


def patch_loader(views: PreparedViews, network: Learner, recipe: Recipe, device: torch.device) -> Loader:
    """Return a loader of batches of patches, which the fixed global network proposes once for each view."""
    shape = network.shape
    cells = _proposals(views, network, recipe, device)
    reach = max(1, _JITTER_PX // shape.cell)
    rows, columns = views.inputs.shape[1:]
    stride = shape.global_stride
    limits = (rows // stride - shape.patch_cells, columns // stride - shape.patch_cells)

    def load(indices: Tensor, generator: torch.Generator) -> Batch:
        inputs, labels = views.batch(indices)
        moved = jitter_cells(cells[indices], reach, limits, generator)
        patches = cut_patches(inputs, moved, shape)
        return Batch(augment_patches(patches, generator).contiguous().to(device), labels.to(device))

    return load


@torch.no_grad()
def _proposals(views: PreparedViews, network: Learner, recipe: Recipe, device: torch.device) -> Tensor:
    """Return the patches proposed for each view, N x k x 2, on the CPU."""
    network.eval()
    size = recipe.local_stage.batch_size
    proposals = []
    for start in range(0, len(views), size):
        inputs, _ = views.batch(torch.arange(start, min(start + size, len(views))))
        saliency = network.global_network(inputs.to(device)).saliency
        proposals.append(propose_patches(saliency, recipe.patches_per_image, network.shape.patch_cells).cpu())
    return torch.cat(proposals)


def stages_of(recipe: Recipe) -> list[tuple[str, StageRecipe]]:
    """Return name and recipe of each stage that has steps, in order."""
    named = (("global", recipe.global_stage), ("local", recipe.local_stage), ("joint", recipe.joint_stage))
    return [(name, stage) for name, stage in named if stage.steps]


class CamStage(nn.Module):
    """Cross-entropy of the averaged evidence; the map, its top values and its sparsity are not part of the loss."""

    def __init__(self, network: Cam, recipe: Recipe) -> None:  # noqa: ARG002 - the signature of all stages
        super().__init__()
        self.network = network.global_network

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:  # noqa: ARG002 - the signature of all stages
        """Return the scalar loss of the batch."""
        return binary_cross_entropy_with_logits(self.network.evidence(batch.inputs).mean(dim=(2, 3)), batch.labels)


class GmicLocalStage(nn.Module):
    """Cross-entropy of the aggregated patches."""

    def __init__(self, network: Gmic, recipe: Recipe) -> None:  # noqa: ARG002 - the signature of all stages
        super().__init__()
        self.network = network.local_network

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:  # noqa: ARG002 - the signature of all stages
        """Return the scalar loss of the batch."""
        return binary_cross_entropy_with_logits(self.network(batch.inputs, len(batch.labels)), batch.labels)


class GmicJointStage(nn.Module):
    """The sum of both losses; patches are proposed again in each step, without a gradient."""

    def __init__(self, network: Gmic, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:
        """Return the scalar loss of the batch."""
        saliency = self.network.global_network(batch.inputs).saliency
        logits = self.network.patch_logits(batch.inputs, saliency, self._recipe.patches_per_image)
        sparsity = self._recipe.joint_stage.sparsity
        seen = bag_loss(saliency, batch.labels, top_fraction, sparsity)
        return seen + binary_cross_entropy_with_logits(logits, batch.labels)
