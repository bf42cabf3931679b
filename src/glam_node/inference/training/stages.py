"""The three training stages: the global network alone, the local network on cached patches, and both together."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.patches import cut_patches, propose_patches
from glam_node.inference.training.augmentation import augment_patches, augment_views, jitter_cells
from glam_node.inference.training.baseline_networks import Learner
from glam_node.inference.training.losses import bag_loss
from glam_node.inference.training.recipe import Recipe, StageRecipe
from glam_node.inference.training.samples import PreparedViews

_JITTER_PX = 56


class Batch(NamedTuple):
    """Input of one process in one step."""

    inputs: Tensor
    """B x 1 x H x W views, or B*k x 1 x S x S patches."""
    labels: Tensor
    """B x 2."""


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
