"""Number format of training steps."""

import torch

from glam_node.inference.glam.device import computes_bfloat16
from glam_node.inference.glam.routes import processor_has_bfloat16


def is_narrow(precision: str, device: torch.device) -> bool:
    """Return whether steps on `device` use bfloat16 autocast under a recipe's `precision`.

    "auto" uses it if the device computes bfloat16 natively; emulated, a step takes several times as long as in float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return computes_bfloat16(device)
    return device.type == "cpu" and processor_has_bfloat16()
