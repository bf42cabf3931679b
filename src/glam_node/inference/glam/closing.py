"""What salient pixels surround is salient: the core of a spiculated mass, which looks like dense tissue close by."""

from torch import Tensor
from torch.nn.functional import max_pool2d, pad


def closed(maps: Tensor, radius: int) -> Tensor:
    """N x C x H x W: grey closing by squares of 2 `radius` + 1 cells (Serra 1982), nowhere under `maps`; 0: `maps`.

    Outside a map nothing is salient, so nothing is filled towards its edges.
    """
    if not radius:
        return maps
    side = 2 * radius + 1
    largest = max_pool2d(pad(maps, [radius] * 4), side, stride=1, padding=radius)
    return -max_pool2d(-largest, side, stride=1)
