"""Filling of gaps in local saliency, such as the core of a spiculated mass, which resembles dense tissue close by."""

from torch import Tensor
from torch.nn.functional import max_pool2d, pad


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
