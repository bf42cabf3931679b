"""Folding of batch norms and equal input channels, so that inference takes fewer operations for the same values."""

from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from glam_node.inference.glam.backbone import BasicBlock, LocalTrunk, PreActivationBlock
from glam_node.inference.glam.network import Glam


def fold_for_inference(network: Glam) -> Glam:
    """Merge batch norms into the convolutions before them and the local stem's channels into one, in place.

    Parameter names change; the values that `network` computes stay within float32 rounding. Returns `network`.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, PreActivationBlock):
            _fold(module, "conv1", "bn2")
        elif isinstance(module, BasicBlock):
            _fold(module, "conv1", "bn1")
            _fold(module, "conv2", "bn2")
            if module.downsample is not None:
                _fold(module.downsample, "0", "1")
        elif isinstance(module, LocalTrunk):
            _fold(module, "conv1", "bn1")
            module.conv1 = _one_channel(module.conv1)
    network.requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _fold(parent: nn.Module, conv_name: str, bn_name: str) -> None:
    conv, bn = cast(nn.Conv2d, parent.get_submodule(conv_name)), cast(nn.BatchNorm2d, parent.get_submodule(bn_name))
    setattr(parent, conv_name, fuse_conv_bn_eval(conv, bn))
    setattr(parent, bn_name, nn.Identity())


def _one_channel(stem: nn.Conv2d) -> nn.Conv2d:
    """Return a stem of one channel: with equal input channels, the sum of the kernels gives the same values."""
    folded = nn.Conv2d(1, stem.out_channels, 7, 2, padding=3, device=stem.weight.device)
    folded.weight = nn.Parameter(stem.weight.double().sum(dim=1, keepdim=True).float(), requires_grad=False)
    folded.bias = stem.bias
    return folded
