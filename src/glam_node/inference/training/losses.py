"""What is minimised: image labels against the most salient part of the maps, and the maps' total."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy

_LEAST_PROBABILITY = 1e-5


def bag_loss(maps: Tensor, labels: Tensor, top_fraction: float, sparsity: float) -> Tensor:
    """Binary cross-entropy of the mean of the largest values of each map, plus `sparsity` times its L1 norm.

    `maps` N x 2 x anything, 0 to 1; `labels` N x 2, 0 or 1; a scalar in float32, the mean over images and classes. The
    norm is divided by the number of pooled values, so that one `sparsity` suits all resolutions.
    """
    values = maps.float().flatten(2)
    count = max(1, round(values.shape[2] * top_fraction))
    scores = values.topk(count, dim=2, sorted=False).values.mean(dim=2)
    scores = scores.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return binary_cross_entropy(scores, labels) + sparsity * values.sum(dim=2).mean() / count
