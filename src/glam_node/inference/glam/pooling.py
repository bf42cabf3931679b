"""Aggregation of a saliency map to one score per class."""

from torch import Tensor

TOP_FRACTION = 0.03


def top_fraction_mean(maps: Tensor, fraction: float = TOP_FRACTION) -> Tensor:
    """Return the mean of the largest `fraction` of each map's values, at least of one: N x C from N x C x H x W."""
    values = maps.flatten(2)
    count = max(1, round(values.shape[2] * fraction))
    return values.topk(count, dim=2, sorted=False).values.mean(dim=2)
