"""Where the local network looks: the patches with the most saliency, chosen one after another."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

STRIDE = 16
"""Pixels of the window per cell of the saliency map."""
PATCH_CELLS = 32
PATCH_SIZE = PATCH_CELLS * STRIDE
"""Pixels on a side of a patch."""


def propose_patches(saliency: Tensor, count: int) -> Tensor:
    """First row and column, in cells, of the `count` most salient squares per image: N x 2 x H x W -> N x count x 2.

    Greedy: what a square covers counts as 0 for the next. The first of equal squares (row by row) is taken, a
    constant map has only such.
    """
    interest = normalise(saliency).sum(dim=1, keepdim=True)
    rows = torch.arange(interest.shape[2], device=interest.device)[None, :, None]
    columns = torch.arange(interest.shape[3], device=interest.device)[None, None, :]
    chosen = []
    for _ in range(count):
        pooled = avg_pool2d(interest, PATCH_CELLS, stride=1)
        best = pooled.flatten(1).argmax(dim=1)
        row, column = best // pooled.shape[3], best % pooled.shape[3]
        chosen.append(torch.stack((row, column), dim=1))
        covered = _covers(rows, row[:, None, None]) & _covers(columns, column[:, None, None])
        interest = interest.masked_fill(covered[:, None], 0.0)
    return torch.stack(chosen, dim=1)


def _covers(index: Tensor, start: Tensor) -> Tensor:
    return (index >= start) & (index < start + PATCH_CELLS)


def normalise(saliency: Tensor) -> Tensor:
    """Each map stretched to 0 .. 1; a constant map becomes 0."""
    low, high = saliency.amin(dim=(2, 3), keepdim=True), saliency.amax(dim=(2, 3), keepdim=True)
    extent = high - low
    return (saliency - low) / torch.where(extent > 0, extent, 1.0)


def cut_patches(windows: Tensor, cells: Tensor) -> Tensor:
    """The patches at `cells` (N x k x 2): N x 1 x H x W -> N*k x 1 x 512 x 512, without leaving the device."""
    squares = windows[:, 0].unfold(1, PATCH_SIZE, STRIDE).unfold(2, PATCH_SIZE, STRIDE)
    image = torch.arange(len(windows), device=windows.device)[:, None]
    return squares[image, cells[..., 0], cells[..., 1]].flatten(0, 1).unsqueeze(1)
