"""The stem of the global network, band by band."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

# Pooled rows
_BAND = 64


class BandedStem(nn.Module):
    """A stem's 7 x 7 convolution and its max-pool; what lies between, the largest feature of all, is never whole."""

    def __init__(self, convolution: nn.Conv2d, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self._weight = convolution.weight
        self._pool = pool

    def forward(self, windows: Tensor) -> Tensor:
        """N x 1 x H x W -> N x channels x about H/4 x W/4."""
        height = windows.shape[2]
        rows = ((height - 1) // 2 + 1 - 3) // 2 + 1
        bands = []
        for first in range(0, rows, _BAND):
            # A pooled row sees three convolved rows, and each of these seven rows of the window.
            top, bottom = 4 * first - 3, 4 * min(first + _BAND, rows) + 4
            seen = pad(windows[:, :, max(top, 0) : bottom], (3, 3, max(-top, 0), max(bottom - height, 0)))
            bands.append(self._pool(conv2d(seen, self._weight, stride=2)))
        return torch.cat(bands, dim=2)
