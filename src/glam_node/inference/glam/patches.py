"""Where the local network looks: the patches with the most saliency, chosen one after another."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from glam_node.inference.glam.shape import PUBLISHED, NetworkShape


def propose_patches(saliency: Tensor, count: int, size: int = PUBLISHED.patch_cells) -> Tensor:
    """First row and column, in cells, of the `count` most salient squares per image: N x 2 x H x W -> N x count x 2.

    A square has `size` cells on a side. Greedy: what a square covers counts as 0 for the next. The first of equal
    squares (row by row) is taken, a constant map has only such.
    """
    interest = normalise(saliency).sum(dim=1, keepdim=True)
    rows = torch.arange(interest.shape[2], device=interest.device)[None, :, None]
    columns = torch.arange(interest.shape[3], device=interest.device)[None, None, :]
    chosen = []
    for _ in range(count):
        pooled = avg_pool2d(interest, size, stride=1)
        best = pooled.flatten(1).argmax(dim=1)
        row, column = best // pooled.shape[3], best % pooled.shape[3]
        chosen.append(torch.stack((row, column), dim=1))
        covered = _covers(rows, row[:, None, None], size) & _covers(columns, column[:, None, None], size)
        interest = interest.masked_fill(covered[:, None], 0.0)
    return torch.stack(chosen, dim=1)


def _covers(index: Tensor, start: Tensor, size: int) -> Tensor:
    return (index >= start) & (index < start + size)


def normalise(saliency: Tensor) -> Tensor:
    """Each map stretched to 0 .. 1; a constant map becomes 0."""
    low, high = saliency.amin(dim=(2, 3), keepdim=True), saliency.amax(dim=(2, 3), keepdim=True)
    extent = high - low
    return (saliency - low) / torch.where(extent > 0, extent, 1.0)


def cut_patches(inputs: Tensor, cells: Tensor, shape: NetworkShape = PUBLISHED) -> Tensor:
    """The patches at `cells` (N x k x 2): N x 1 x H x W -> N*k x 1 x 512 x 512, without leaving the device.

    `inputs` are windows reduced as `shape` says, and so are the patches.
    """
    size, stride = shape.patch_size // shape.reduction, shape.global_stride
    squares = inputs[:, 0].unfold(1, size, stride).unfold(2, size, stride)
    image = torch.arange(len(inputs), device=inputs.device)[:, None]
    return squares[image, cells[..., 0], cells[..., 1]].flatten(0, 1).unsqueeze(1)
