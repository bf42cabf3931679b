"""The local network on ncnn: the same float32 values by Winograd's convolutions, in less than half of the time."""

import tempfile
from pathlib import Path
from typing import cast

import ncnn
import numpy as np
import torch
from torch import Tensor, nn

from glam_node.inference.glam.backbone import BasicBlock
from glam_node.inference.glam.network import LocalNetwork

_MAGIC = 7767517
_FLOAT32_TAG = b"\0\0\0\0"


class NcnnLocalNetwork(nn.Module):
    """Takes the place of a folded LocalNetwork, on the CPU, one patch after another."""

    def __init__(self, network: LocalNetwork, threads: int) -> None:
        super().__init__()
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.opt.lightmode = True
        # Narrow numbers are ncnn's default where the processor has them.
        for option in ("use_bf16_storage", "use_fp16_storage", "use_fp16_packed", "use_fp16_arithmetic"):
            setattr(self._net.opt, option, False)
        graph = _Graph(network)
        # From a file and not from memory, which ncnn would refer to for as long as it lives
        with tempfile.TemporaryDirectory() as directory:
            weights = Path(directory) / "weights.bin"
            weights.write_bytes(b"".join(graph.weights))
            if self._net.load_param_mem(graph.text()) != 0 or self._net.load_model(str(weights)) != 0:
                raise RuntimeError("ncnn does not take the local network.")

    def forward(self, patches: Tensor) -> Tensor:
        """N x 1 x 512 x 512 -> N x 2 x 128 x 128, saliency 0 to 1."""
        return torch.stack([self._look(patch.contiguous().numpy()) for patch in patches])

    def _look(self, patch: "np.ndarray[tuple[int, int, int], np.dtype[np.float32]]") -> Tensor:
        with self._net.create_extractor() as extractor:
            extractor.input(_Graph.INPUT, ncnn.Mat(patch))
            status, saliency = extractor.extract(_Graph.OUTPUT)
            if status != 0:
                raise MemoryError(f"ncnn answered {status} to a patch; most likely memory is short.")
            return torch.from_numpy(np.array(saliency))


class _Graph:
    """ncnn's description of a folded local network: one line a layer, and the weights in the order of the lines.

    Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
    """

    INPUT, OUTPUT = "patch", "saliency"

    def __init__(self, network: LocalNetwork) -> None:
        self._lines = [f"Input {self.INPUT} 0 1 {self.INPUT}"]
        self._blobs = 1
        self.weights: list[bytes] = []
        trunk = network.dn_resnet
        blob = self._convolution(trunk.conv1, self.INPUT, activated=True)
        if isinstance(trunk.maxpool, nn.MaxPool2d):
            blob = self._layer("Pooling", [blob], "0=0 1=3 2=2 3=1 5=1")
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            for block in stage:
                blob = self._block(cast(BasicBlock, block), blob)
        logits = self._convolution(network.gn_conv_last, blob)
        self._layer("Sigmoid", [logits], output=self.OUTPUT)

    def text(self) -> str:
        """The .param file."""
        return "\n".join([str(_MAGIC), f"{len(self._lines)} {self._blobs}", *self._lines, ""])

    def _block(self, block: BasicBlock, blob: str) -> str:
        shortcut, inner = self._split(blob)
        if block.downsample is not None:
            shortcut = self._convolution(cast(nn.Conv2d, block.downsample[0]), shortcut)
        inner = self._convolution(block.conv1, inner, activated=True)
        inner = self._convolution(block.conv2, inner)
        return self._layer("ReLU", [self._layer("BinaryOp", [inner, shortcut], "0=0")])

    def _split(self, blob: str) -> tuple[str, str]:
        first, second = f"{blob}_0", f"{blob}_1"
        self._lines.append(f"Split {blob}_split 1 2 {blob} {first} {second}")
        self._blobs += 2
        return first, second

    def _convolution(self, convolution: nn.Conv2d, blob: str, activated: bool = False) -> str:
        weight = convolution.weight.detach().contiguous()
        self.weights += [_FLOAT32_TAG, weight.numpy().tobytes()]
        if convolution.bias is not None:
            self.weights.append(convolution.bias.detach().numpy().tobytes())
        (kernel, _), (stride, _), (padding, _) = (
            cast(tuple[int, int], each) for each in (convolution.kernel_size, convolution.stride, convolution.padding)
        )
        return self._layer(
            "Convolution",
            [blob],
            f"0={convolution.out_channels} 1={kernel} 3={stride} 4={padding} "
            f"5={int(convolution.bias is not None)} 6={weight.numel()} 9={int(activated)}",
        )

    def _layer(self, kind: str, blobs: list[str], parameters: str = "", output: str = "") -> str:
        output = output or f"b{self._blobs}"
        self._blobs += 1
        self._lines.append(f"{kind} {output} {len(blobs)} 1 {' '.join(blobs)} {output} {parameters}".rstrip())
        return output
