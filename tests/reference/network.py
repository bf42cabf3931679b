"""The published network as functions of its state dict: nothing folded, three-channel stem, contiguous NCHW."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, interpolate, max_pool2d, relu

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """Result of the plain network for one window."""

    scores: Tensor
    """Shape 2."""
    saliency: Tensor
    """Shape 2 x 184 x 120."""
    patch: tuple[int, int]
    """First row and column in pixels."""
    local: Tensor
    """Shape 2 x 128 x 128."""
    fused: Tensor
    """Shape 2 x 2944 x 1920."""


def look(state: State, window: Tensor) -> Looked:
    """Return all results for a window of 1 x 1 x H x W."""
    scores, saliency = look_globally(state, window)
    row, column = most_salient(saliency[0])
    local = look_locally(state, window[:, :, row : row + 512, column : column + 512])
    fused = interpolate(saliency, scale_factor=16)
    closely = torch.zeros_like(fused)
    closely[:, :, row : row + 512, column : column + 512] = interpolate(local, scale_factor=4)
    return Looked(scores[0], saliency[0], (row, column), local[0], ((closely + fused) / 2)[0])


def look_globally(state: State, window: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores (N x 2) and saliency (N x 2 x H/16 x W/16)."""
    prefix = "global_network.downsampling_branch."
    x = conv2d(window, state[prefix + "first_conv.weight"], stride=2, padding=3)
    x = max_pool2d(x, 3, 2)
    features = []
    for stage in range(5):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _pre_activation_block(state, f"{prefix}layer_list.{stage}.{block}.", x, stride)
        features.append(x)
    last = relu(_norm(state, prefix + "final_bn", x))
    heads = ("gn_conv_1", "gn_conv_2", "gn_conv_last")
    first, second, third = (
        torch.sigmoid(conv2d(feature, state[f"global_network.postprocess_module.{head}.weight"]))
        for head, feature in zip(heads, (features[2], features[3], last), strict=True)
    )
    size = first.shape[2:]
    maps = (first, interpolate(second, size=size), interpolate(third, size=size))
    return torch.stack([_top(each) for each in maps]).sum(dim=0) / 3, 0.2 * maps[2] + 0.6 * maps[1] + 0.2 * maps[0]


def _top(maps: Tensor) -> Tensor:
    values = maps.flatten(2).sort(dim=2, descending=True).values
    return values[:, :, : round(values.shape[2] * 0.03)].mean(dim=2)


def _pre_activation_block(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    activated = relu(_norm(state, name + "bn1", x))
    projection = state.get(name + "downsample.0.weight")
    shortcut = x if projection is None else conv2d(activated, projection, stride=stride)
    inner = conv2d(activated, state[name + "conv1.weight"], stride=stride, padding=1)
    return conv2d(relu(_norm(state, name + "bn2", inner)), state[name + "conv2.weight"], padding=1) + shortcut


def most_salient(saliency: Tensor) -> tuple[int, int]:
    """Return first row and column, in pixels, of the 512 x 512 square with the most saliency (2 x H x W)."""
    low, high = saliency.amin(dim=(1, 2), keepdim=True), saliency.amax(dim=(1, 2), keepdim=True)
    pooled = avg_pool2d(((saliency - low) / (high - low)).sum(dim=0)[None, None], 32, stride=1)
    row, column = divmod(int(pooled.argmax()), pooled.shape[3])
    return 16 * row, 16 * column


def look_locally(state: State, patch: Tensor) -> Tensor:
    """Map N x 1 x H x W to N x 2 x H/4 x W/4."""
    prefix = "detection_network.dn_resnet."
    x = conv2d(patch.repeat(1, 3, 1, 1), state[prefix + "conv1.weight"], stride=2, padding=3)
    x = max_pool2d(relu(_norm(state, prefix + "bn1", x)), 3, 2, padding=1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            x = _basic_block(state, f"{prefix}layer{stage}.{block}.", x)
    return torch.sigmoid(conv2d(x, state["detection_network.gn_conv_last.weight"]))


def _basic_block(state: State, name: str, x: Tensor) -> Tensor:
    shortcut = x
    if name + "downsample.0.weight" in state:
        shortcut = _norm(state, name + "downsample.1", conv2d(x, state[name + "downsample.0.weight"]))
    inner = relu(_norm(state, name + "bn1", conv2d(x, state[name + "conv1.weight"], padding=1)))
    return relu(_norm(state, name + "bn2", conv2d(inner, state[name + "conv2.weight"], padding=1)) + shortcut)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return batch_norm(x, mean, variance, weight, bias, eps=1e-5)
