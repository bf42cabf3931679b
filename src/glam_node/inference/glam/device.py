"""The device that the network runs on, its precision and its memory."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glam_node.inference.errors import DeviceUnavailable


def give_back_freed() -> None:
    """Return freed memory to the system at once; does nothing unless the C library is glibc.

    Loading weights and running the global network leave holes that larger features do not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


# The type stubs of torch 2.13 lack some of these settings.
_BACKENDS: Any = torch.backends


def resolve_device(device: str) -> torch.device:
    """Return the torch device for "cpu", "cuda", "cuda:N" or "auto" (CUDA if there is a CUDA device, else the CPU).

    Raises:
        DeviceUnavailable: `device` is none of these names, or the machine lacks the device.
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
    """Return the bytes that this process holds on a CUDA device and the device's total; None for the CPU."""
    if device.type != "cuda":
        return None
    return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory


def name_of(device: torch.device) -> str:
    """Return the product name of a CUDA device; empty for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether this CUDA device computes bfloat16 natively; other devices of the machine may differ."""
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in true float32 and deterministically inside the context; restore the process's settings afterwards.

    TF32 could move the patch, whose position is an argmax over neighbours that differ by 2e-5. torch uses TF32 for
    convolutions by default, and for matrix products where the environment asks for it, as some containers do.

    The settings belong to the process, so only one thread at a time may be inside.
    """
    cudnn, convolutions, products = _BACKENDS.cudnn, _BACKENDS.cudnn.conv, _BACKENDS.cuda.matmul
    before = cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision
    cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision = True, "ieee", "ieee"
    try:
        with torch.inference_mode():
            yield
    finally:
        cudnn.deterministic, convolutions.fp32_precision, products.fp32_precision = before


def on_device(windows: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """Copy N windows of H x W to the device as N x 1 x H x W; to a GPU from pinned memory, without waiting."""
    if device.type != "cuda":
        return torch.from_numpy(windows[0][None, None] if len(windows) == 1 else np.stack(windows)[:, None])
    # The buffer is freed on return but not reused before the copy is over, since torch's allocator of pinned memory
    # waits for the stream. With one channel both memory formats have the same bytes, so there is only one copy.
    pinned = torch.empty((len(windows), 1, *windows[0].shape), pin_memory=True)
    for place, window in zip(pinned, windows, strict=True):
        place[0].copy_(torch.from_numpy(window))
    return pinned.to(device, non_blocking=True, memory_format=torch.channels_last)
