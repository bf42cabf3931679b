"""The global trunk computed in bands of rows, so that its widest features are never in memory as a whole."""

from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu

from glam_node.inference.glam.backbone import GlobalTrunk, PreActivationBlock

# Rows of the early stages' output per band.
_BAND = 96
_LOOKED_AT = 3
"""Number of last stages whose features the heads read."""


class BandedTrunk(nn.Module):
    """Replacement for a GlobalTrunk with a max-pool; it computes all but the last three stages in bands of rows."""

    def __init__(self, trunk: GlobalTrunk) -> None:
        super().__init__()
        self._weight = trunk.first_conv.weight
        self._pool = cast(nn.MaxPool2d, trunk.first_pool)
        self._early, self._late = trunk.layer_list[:-_LOOKED_AT], trunk.layer_list[-_LOOKED_AT:]
        self._final_bn = trunk.final_bn
        self._strides = [_stride(cast(nn.Sequential, stage)) for stage in self._early]
        self._margin = self._rows_beyond()

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of the last three stages, as GlobalTrunk does."""
        x = self._early_feature(windows)
        features = []
        for stage in self._late:
            x = stage(x)
            features.append(x)
        return features[0], features[1], relu(self._final_bn(x))

    def _rows_beyond(self) -> int:
        """Return the number of pooled rows to add on each side of a band, so that the band's own rows are exact."""
        needed = 0
        for stage, stride in zip(reversed(self._early), reversed(self._strides), strict=True):
            # Each convolution needs one more row on each side; the first one of a stage needs it before its stride.
            needed = (needed + 2 * len(cast(nn.Sequential, stage)) - 1) * stride + 1
        stride = prod(self._strides)
        return -(-needed // stride) * stride

    def _early_feature(self, windows: Tensor) -> Tensor:
        pooled = ((windows.shape[2] - 1) // 2 + 1 - 3) // 2 + 1
        stride = prod(self._strides)
        rows = -(-pooled // stride)
        result = None
        for first in range(0, rows, _BAND):
            last = min(first + _BAND, rows)
            top, bottom = max(first * stride - self._margin, 0), min(last * stride + self._margin, pooled)
            x = self._stem(windows, top, bottom)
            for stage in self._early:
                x = stage(x)
            if result is None:
                shape = (*x.shape[:2], rows, x.shape[3])
                result = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
            # Drop the outermost rows of the band, which were computed without their neighbours.
            result[:, :, first:last] = x[:, :, first - top // stride : last - top // stride]
        assert result is not None  # noqa: S101 - a window has rows
        return result

    def _stem(self, windows: Tensor, first: int, last: int) -> Tensor:
        """Return the pooled rows from `first` to `last` (exclusive)."""
        # A pooled row depends on three convolved rows, and each of these on seven rows of the window.
        height = windows.shape[2]
        top, bottom = 4 * first - 3, 4 * last + 4
        seen = pad(windows[:, :, max(top, 0) : bottom], (3, 3, max(-top, 0), max(bottom - height, 0)))
        pooled: Tensor = self._pool(conv2d(seen, self._weight, stride=2))
        return pooled


def _stride(stage: nn.Sequential) -> int:
    return cast(PreActivationBlock, stage[0]).conv1.stride[0]
