"""Which numbers a training step computes with."""

import torch

from glam_node.inference.glam.device import computes_bfloat16
from glam_node.inference.glam.routes import processor_has_bfloat16


def is_narrow(precision: str, device: torch.device) -> bool:
    """Whether steps on `device` go through bfloat16 autocast, as a recipe's `precision` says.

    "auto" takes it where the device computes in it. Emulated, a step costs several times what float32 costs.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return computes_bfloat16(device)
    return device.type == "cpu" and processor_has_bfloat16()
