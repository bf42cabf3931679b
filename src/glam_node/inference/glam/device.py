"""Where the network runs, and how exactly."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glam_node.inference.errors import DeviceUnavailable

# Types of torch 2.13 do not know all of them.
_BACKENDS: Any = torch.backends


def resolve_device(device: str) -> torch.device:
    """The torch device of "cpu", "cuda", "cuda:N" or "auto" (CUDA where there is one).

    Raises DeviceUnavailable for any other name, and for a device that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise DeviceUnavailable(_message(device, "that is not the name of a device")) from error
    if resolved.type == "cpu":
        return resolved
    if resolved.type != "cuda":
        raise DeviceUnavailable(_message(device, "only CPU and CUDA are supported"))
    if (resolved.index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(_message(device, f"{torch.cuda.device_count()} CUDA devices were found"))
    return resolved


def _message(device: str, reason: str) -> str:
    return f"Device {device!r} is not available: {reason}. Check inference.device."


def memory_of(device: torch.device) -> tuple[int, int] | None:
    """Bytes that this process holds on a CUDA device, and all that the device has; None for the CPU."""
    if device.type != "cuda":
        return None
    return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory


def name_of(device: torch.device) -> str:
    """What the maker of a CUDA device calls it; empty for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def computes_bfloat16(device: torch.device) -> bool:
    """Whether this very CUDA device has arithmetic for it; another one of the machine may not."""
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


@contextmanager
def full_precision() -> Iterator[None]:
    """Inference in float32 proper, the same at every run; the process's settings of it are as before afterwards.

    TF32 could move the patch, which is an argmax of neighbours 2e-5 apart. Convolutions have it by default; products of
    matrices where somebody asked for it, as the environment of some containers does.
    """
    # The settings are the process's, so one thread at a time may be in here.
    cudnn, convolutions, products = _BACKENDS.cudnn, _BACKENDS.cudnn.conv, _BACKENDS.cuda.matmul
    before = cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision
    cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision = True, "ieee", "ieee"
    try:
        with torch.inference_mode():
            yield
    finally:
        cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision = before


def on_device(windows: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """N windows of H x W as N x 1 x H x W; to a GPU from pinned memory, without waiting for it."""
    if device.type != "cuda":
        return torch.from_numpy(windows[0][None, None] if len(windows) == 1 else np.stack(windows)[:, None])
    # Freed on return, and not used again before the copy is over: torch's allocator of pinned memory waits for the
    # stream. With one channel both memory formats have the same bytes, so this is one copy.
    pinned = torch.empty((len(windows), 1, *windows[0].shape), pin_memory=True)
    for place, window in zip(pinned, windows, strict=True):
        place[0].copy_(torch.from_numpy(window))
    return pinned.to(device, non_blocking=True, memory_format=torch.channels_last)
