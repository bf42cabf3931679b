"""The local network on ncnn in float32, whose kernels for Winograd's convolutions stay in the processor's cache.

The graph is written operation by operation in ncnn's own format (a list of layers as text, and their weights in order),
since ncnn's converter is a separate program.
"""

import os
from typing import BinaryIO, cast

import ncnn
import numpy as np
import torch
from torch import Tensor, nn

from glam_node.inference.glam.backbone import BasicBlock, LocalTrunk
from glam_node.inference.glam.device import give_back_freed
from glam_node.inference.glam.network import LocalNetwork

_MAGIC = 7767517
_INPUT, _OUTPUT = "patch", "saliency"
_FLOAT32 = np.zeros(1, dtype="<u4").tobytes()
"""Tag before the weights of a convolution, which states that they are plain float32."""
_NO_MEMORY = -100


class NcnnLocalNetwork(nn.Module):
    """Replacement for a folded LocalNetwork on the CPU; it computes one patch at a time."""

    def __init__(self, network: LocalNetwork, threads: int) -> None:
        super().__init__()
        self._net = _loaded(network, threads)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x 512 x 512 to saliency of N x 2 x 128 x 128, 0 to 1. Raises MemoryError."""
        give_back_freed()
        return torch.stack([self._look(patch.contiguous()) for patch in patches])

    def _look(self, patch: Tensor) -> Tensor:
        extractor = self._net.create_extractor()
        # ncnn.Mat refers to the memory of `patch`, which outlives it.
        extractor.input(_INPUT, ncnn.Mat(patch.numpy()))
        code, saliency = extractor.extract(_OUTPUT)
        if code == _NO_MEMORY:
            raise MemoryError("ncnn does not have enough free memory for a patch.")
        if code:
            raise RuntimeError(f"ncnn could not compute the local network: it returned {code}.")
        return torch.from_numpy(np.array(saliency))


def _loaded(network: LocalNetwork, threads: int) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.num_threads = threads
    # float16 is ncnn's default on some processors.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    # Tiles of 4 x 4 are as fast as tiles of 6 x 6, with less memory and smaller errors.
    net.opt.use_winograd63_convolution = False
    # Use a file in memory: ncnn copies the weights of a file, but would keep referring to a bytes object.
    with os.fdopen(os.memfd_create("weights"), "wb") as weights:
        layers = local_network_layers(network, weights)
        weights.flush()
        if net.load_param_mem(layers) or net.load_model(f"/proc/self/fd/{weights.fileno()}"):
            raise RuntimeError(f"ncnn {ncnn.__version__} cannot load the local network: choose another runtime.")
    return net


def local_network_layers(network: LocalNetwork, weights: BinaryIO) -> str:
    """Return the layers of a folded LocalNetwork in ncnn's format, and write their weights to `weights`."""
    graph = _Graph(weights)
    trunk: LocalTrunk = network.dn_resnet
    (patch,) = graph.layer("Input", [], outputs=[_INPUT])
    x = _pooled(graph, trunk.maxpool, graph.convolution(trunk.conv1, patch, relu=True))
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for block in stage:
            x = _basic_block(graph, cast(BasicBlock, block), x)
    graph.layer("Sigmoid", [graph.convolution(network.gn_conv_last, x)], outputs=[_OUTPUT])
    return graph.text()


def _basic_block(graph: "_Graph", block: BasicBlock, x: str) -> str:
    into, beside = graph.layer("Split", [x], outputs=[f"{x}_into", f"{x}_beside"])
    inner = graph.convolution(block.conv2, graph.convolution(block.conv1, into, relu=True))
    shortcut = beside if block.downsample is None else graph.convolution(cast(nn.Conv2d, block.downsample[0]), beside)
    # BinaryOp 0 is addition.
    (total,) = graph.layer("BinaryOp", [inner, shortcut], {0: 0})
    (activated,) = graph.layer("ReLU", [total])
    return activated


def _pooled(graph: "_Graph", pool: nn.Module, x: str) -> str:
    if not isinstance(pool, nn.MaxPool2d):
        return x
    # Parameters of Pooling: 0 for the maximum, kernel size, stride, padding, and 1 for no extra padding.
    size, stride, padding = (cast(int, each) for each in (pool.kernel_size, pool.stride, pool.padding))
    (pooled,) = graph.layer("Pooling", [x], {0: 0, 1: size, 2: stride, 3: padding, 5: 1})
    return pooled


class _Graph:
    """The layers written so far, each with the names of its inputs and outputs."""

    def __init__(self, weights: BinaryIO) -> None:
        self._weights = weights
        self._lines: list[str] = []
        self._blobs = 0

    def text(self) -> str:
        """Return all layers in ncnn's format."""
        return "\n".join([str(_MAGIC), f"{len(self._lines)} {self._blobs}", *self._lines, ""])

    def layer(
        self, kind: str, inputs: list[str], parameters: dict[int, int] | None = None, outputs: list[str] | None = None
    ) -> list[str]:
        """Add a layer and return the names of its outputs: one, unless `outputs` names them."""
        name = f"layer{len(self._lines)}"
        results = outputs or [name]
        given = [f"{key}={value}" for key, value in (parameters or {}).items()]
        self._lines.append(" ".join([kind, name, str(len(inputs)), str(len(results)), *inputs, *results, *given]))
        self._blobs += len(results)
        return results

    def convolution(self, convolution: nn.Conv2d, x: str, relu: bool = False) -> str:
        """Add a convolution of square kernels, with ReLU if `relu`, and return the name of its output."""
        weight, bias = convolution.weight.detach(), convolution.bias
        numbers = [_FLOAT32, _bytes(weight)] + ([] if bias is None else [_bytes(bias.detach())])
        self._weights.writelines(numbers)
        # Parameters: outputs, kernel size, dilation, stride, padding, has bias, number of weights, 1 for ReLU.
        side, stride, padding = weight.shape[2], convolution.stride[0], cast(int, convolution.padding[0])
        values = {0: weight.shape[0], 1: side, 2: convolution.dilation[0], 3: stride, 4: padding}
        (result,) = self.layer("Convolution", [x], values | {5: int(bias is not None), 6: weight.numel(), 9: int(relu)})
        return result


def _bytes(values: Tensor) -> bytes:
    return values.float().contiguous().numpy().astype("<f4", copy=False).tobytes()
