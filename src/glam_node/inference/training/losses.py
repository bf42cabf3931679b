"""Losses: cross-entropy of image labels and the most salient part of the maps, plus the maps' sparsity."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy

_LEAST_PROBABILITY = 1e-5


def bag_loss(maps: Tensor, labels: Tensor, top_fraction: float, sparsity: float) -> Tensor:
    """Return the binary cross-entropy of the mean of each map's largest values, plus `sparsity` times its L1 norm.

    The norm is divided by the number of pooled values, so that one `sparsity` suits all resolutions.

    Args:
        maps: N x 2 x any shape, 0 to 1.
        labels: N x 2, 0 or 1.
        top_fraction: Part of a map's values whose mean is the score.
        sparsity: Weight of the L1 norm.

    Returns:
        A scalar in float32, the mean over images and classes.
    """
    values = maps.float().flatten(2)
    count = max(1, round(values.shape[2] * top_fraction))
    scores = values.topk(count, dim=2, sorted=False).values.mean(dim=2)
    scores = scores.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return binary_cross_entropy(scores, labels) + sparsity * values.sum(dim=2).mean() / count
