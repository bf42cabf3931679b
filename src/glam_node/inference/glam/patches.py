"""Choice of the patches that the local network reads: those with the most saliency, one after another."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from glam_node.inference.glam.shape import PUBLISHED, NetworkShape


def propose_patches(saliency: Tensor, count: int, size: int = PUBLISHED.patch_cells) -> Tensor:
    """Return the first row and column, in cells, of the `count` most salient squares of each image.

    The choice is greedy: cells that a square covers count as 0 for the next one. Of equal squares, the first one
    row by row is chosen.

    Args:
        saliency: N x 2 x H x W.
        count: Squares per image.
        size: Side of a square, in cells.

    Returns:
        N x count x 2.
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
    """Stretch each map to 0 .. 1; a constant map becomes 0."""
    low, high = saliency.amin(dim=(2, 3), keepdim=True), saliency.amax(dim=(2, 3), keepdim=True)
    extent = high - low
    return (saliency - low) / torch.where(extent > 0, extent, 1.0)


def cut_patches(inputs: Tensor, cells: Tensor, shape: NetworkShape = PUBLISHED) -> Tensor:
    """Cut the patches at `cells` (N x k x 2) from `inputs` (N x 1 x H x W) without leaving the device.

    Returns:
        N*k x 1 x 512 x 512 for the published shape; patches are reduced as `inputs` are.
    """
    size, stride = shape.patch_size // shape.reduction, shape.global_stride
    squares = inputs[:, 0].unfold(1, size, stride).unfold(2, size, stride)
    image = torch.arange(len(inputs), device=inputs.device)[:, None]
    return squares[image, cells[..., 0], cells[..., 1]].flatten(0, 1).unsqueeze(1)
