"""The networks on OpenVINO: the global trunk in float32, and the local network in bfloat16 on request.

The graphs are built operation by operation, since OpenVINO's own converter traces with a deprecated part of torch,
takes seconds, and reports its use over the network.
"""

from typing import TypeAlias, cast

import numpy as np
import openvino
import torch
from openvino import Model, Node, Output, opset13
from torch import Tensor, nn

from glam_node.inference.glam.backbone import BasicBlock, GlobalTrunk, LocalTrunk, PreActivationBlock
from glam_node.inference.glam.network import LocalNetwork

_Blob: TypeAlias = Node | Output


class OpenVinoTrunk(nn.Module):
    """Replacement for a folded GlobalTrunk on the CPU, in float32."""

    def __init__(self, trunk: GlobalTrunk, threads: int) -> None:
        super().__init__()
        self._compiled = _compiled(global_trunk_model(trunk), "f32", threads)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of the last three stages, as GlobalTrunk does."""
        results = self._compiled(windows.contiguous().numpy())
        first, second, last = (torch.from_numpy(np.array(results[index])) for index in range(3))
        return first, second, last


class OpenVinoLocalNetwork(nn.Module):
    """Replacement for a folded LocalNetwork on the CPU in bfloat16; it computes one patch at a time."""

    def __init__(self, network: LocalNetwork, threads: int) -> None:
        super().__init__()
        self._compiled = _compiled(local_network_model(network), "bf16", threads)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x 512 x 512 to saliency of N x 2 x 128 x 128, 0 to 1, in float32."""
        return torch.cat([torch.from_numpy(np.array(self._compiled(patch[None].numpy())[0])) for patch in patches])


def _compiled(model: Model, precision: str, threads: int) -> openvino.CompiledModel:
    hints = {
        "INFERENCE_PRECISION_HINT": precision,
        "EXECUTION_MODE_HINT": "PERFORMANCE" if precision == "bf16" else "ACCURACY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    return openvino.Core().compile_model(model, "CPU", hints)


def global_trunk_model(trunk: GlobalTrunk) -> Model:
    """Build the OpenVINO model of a GlobalTrunk, from N x 1 x H x W to its three features."""
    windows = opset13.parameter([-1, 1, -1, -1], np.float32, name="windows")
    x = _pooled(trunk.first_pool, _convolution(trunk.first_conv, windows))
    features = []
    for stage in trunk.layer_list:
        for block in cast(nn.Sequential, stage):
            x = _pre_activation_block(cast(PreActivationBlock, block), x)
        features.append(x)
    features[-1] = opset13.relu(_scaled(trunk.final_bn, features[-1]))
    return Model(features[-3:], [windows], "global_trunk")


def local_network_model(network: LocalNetwork) -> Model:
    """Build the OpenVINO model of a LocalNetwork, from N x 1 x H x W to saliency."""
    patches = opset13.parameter([-1, 1, -1, -1], np.float32, name="patches")
    trunk: LocalTrunk = network.dn_resnet
    x = _pooled(trunk.maxpool, opset13.relu(_convolution(trunk.conv1, patches)))
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for block in stage:
            x = _basic_block(cast(BasicBlock, block), x)
    return Model([opset13.sigmoid(_convolution(network.gn_conv_last, x))], [patches], "local_network")


def _pre_activation_block(block: PreActivationBlock, x: _Blob) -> Node:
    activated = opset13.relu(_scaled(block.bn1, x))
    shortcut = x if block.downsample is None else _convolution(cast(nn.Conv2d, block.downsample[0]), activated)
    inner = opset13.relu(_convolution(block.conv1, activated))
    return opset13.add(_convolution(block.conv2, inner), shortcut)


def _basic_block(block: BasicBlock, x: _Blob) -> Node:
    shortcut = x if block.downsample is None else _convolution(cast(nn.Conv2d, block.downsample[0]), x)
    inner = opset13.relu(_convolution(block.conv1, x))
    return opset13.relu(opset13.add(_convolution(block.conv2, inner), shortcut))


def _convolution(convolution: nn.Conv2d, x: _Blob) -> Node:
    padding = list(cast(tuple[int, int], convolution.padding))
    weight = opset13.constant(convolution.weight.detach().contiguous().numpy())
    result = opset13.convolution(x, weight, list(convolution.stride), padding, padding, list(convolution.dilation))
    if convolution.bias is None:
        return result
    return opset13.add(result, opset13.constant(_per_channel(convolution.bias)))


def _scaled(norm: nn.BatchNorm2d, x: _Blob) -> Node:
    """Apply a batch norm in inference: one factor and one offset per channel, computed in float64."""
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101 - always tracked here
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - norm.running_mean.double() * factor
    scaled = opset13.multiply(x, opset13.constant(_per_channel(factor)))
    return opset13.add(scaled, opset13.constant(_per_channel(offset)))


def _per_channel(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.asarray(values.detach().float().reshape(1, -1, 1, 1).numpy())


def _pooled(pool: nn.Module, x: _Blob) -> _Blob:
    if not isinstance(pool, nn.MaxPool2d):
        return x
    size, stride, padding = ([cast(int, each)] * 2 for each in (pool.kernel_size, pool.stride, pool.padding))
    pooled: Node = opset13.max_pool(x, stride, [1, 1], padding, padding, size, "floor")
    return pooled.output(0)
