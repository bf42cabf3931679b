"""Random changes of prepared views that keep their labels true."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from glam_node.inference.glam.window import WINDOW_SHAPE
from glam_node.research.training.recipe import AugmentationRecipe

_LEAST_RANGE = 1e-6


def augment_views(inputs: Tensor, recipe: AugmentationRecipe, generator: torch.Generator) -> Tensor:
    """Move, scale, turn and stretch each view of N x 1 x H x W, flip some vertically, and change their contrast.

    Pixels from outside a view are filled with the view's minimum, which is black after standardisation.
    """
    count = len(inputs)
    moved = _uniform(count, generator, 2) * recipe.shift_px
    scale = 1 + _uniform(count, generator) * recipe.size_px / WINDOW_SHAPE[0]
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    angle = _uniform(count, generator) * math.radians(recipe.rotation_degrees)
    stretch = 1 + _uniform(count, generator) * recipe.stretch
    across, along = scale * stretch, scale / stretch * (flip if recipe.vertical_flip else 1)
    height, width = WINDOW_SHAPE
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = across * angle.cos()
    theta[:, 0, 1] = -along * angle.sin() * height / width
    theta[:, 1, 0] = across * angle.sin() * width / height
    theta[:, 1, 1] = along * angle.cos()
    theta[:, 0, 2] = 2 * moved[:, 1] / width
    theta[:, 1, 2] = 2 * moved[:, 0] / height
    background = inputs.amin(dim=(2, 3), keepdim=True)
    grid = affine_grid(theta.to(inputs.device), list(inputs.shape), align_corners=False)
    changed = grid_sample(inputs - background, grid, align_corners=False)
    exponents = (_uniform(count, generator) * recipe.contrast).exp()[:, None, None, None].to(inputs.device)
    largest = changed.amax(dim=(2, 3), keepdim=True).clamp_min(_LEAST_RANGE)
    return (changed / largest) ** exponents * largest + background


def _uniform(count: int, generator: torch.Generator, *shape: int) -> Tensor:
    """Return `count` draws, each of `shape`, between -1 and 1."""
    return 2 * torch.rand(count, *shape, generator=generator) - 1


def augment_patches(patches: Tensor, generator: torch.Generator) -> Tensor:
    """Flip and transpose all patches of a batch, N x 1 x S x S, by one random draw."""
    for dims in ((2,), (3,)):
        if torch.rand((), generator=generator) < 0.5:
            patches = patches.flip(dims)
    return patches.transpose(2, 3) if torch.rand((), generator=generator) < 0.5 else patches


def jitter_cells(cells: Tensor, reach: int, limits: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Move N x k x 2 patch positions by up to `reach` cells each way, within `limits` (largest row, column)."""
    moved = cells + torch.randint(-reach, reach + 1, tuple(cells.shape), generator=generator).to(cells.device)
    return torch.minimum(moved.clamp_min(0), torch.tensor(limits, device=cells.device))


def batch_indices(seed: int, step: int, batch_size: int, count: int) -> Tensor:
    """Return the indices, among `count` views, of the batch of `step`; each epoch has every view once in its own order.

    The result depends only on the arguments, so that a resumed run continues with the same batches.
    """
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // count
    orders = {
        epoch: torch.randperm(count, generator=seeded(seed, 0, epoch)) for epoch in {int(each) for each in epochs}
    }
    return torch.stack([orders[int(epoch)][int(at) % count] for epoch, at in zip(epochs, positions, strict=True)])


def seeded(*parts: int) -> torch.Generator:
    """Return a generator on the CPU whose seed depends on all `parts`."""
    mixed = 0
    for part in parts:
        mixed = (mixed * 1_000_003 + part + 0x9E3779B9) % 2**62
    return torch.Generator().manual_seed(mixed)
