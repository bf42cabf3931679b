"""Initial weights of a network."""

import torch
from torch import nn

from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.shape import NetworkShape

_HEAD_DEVIATION = 0.05
# With a bias of 0 every pixel would start at 0.5, and the first steps would learn nothing but sparsity.
_HEAD_BIAS = -2.5


def new_network(shape: NetworkShape, seed: int) -> Glam:
    """Return a GLAM of `shape` with random weights that depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Glam(shape)
        heads = network.global_network.postprocess_module
        # This part of every checkpoint is not used; several processes would wait for its gradient.
        heads.combine.requires_grad_(False)
        for head in (heads.gn_conv_1, heads.gn_conv_2, heads.gn_conv_last, network.detection_network.gn_conv_last):
            start_head(head)
    return network


def start_head(head: nn.Conv2d) -> None:
    """Initialise a saliency head so that its map starts low, with little contrast."""
    nn.init.normal_(head.weight, 0.0, _HEAD_DEVIATION)
    if head.bias is not None:
        nn.init.constant_(head.bias, _HEAD_BIAS)
