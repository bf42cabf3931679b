"""Where the network runs, and how exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from glam_node.inference.errors import DeviceUnavailable


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


@contextmanager
def full_precision() -> Iterator[None]:
    """Inference in float32 proper: TF32 could move the patch, which is an argmax of neighbours 2e-5 apart."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield
