"""Tests that a network computes in full float32, and that all settings are restored afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from glam_node.inference.glam.device import full_precision

BACKENDS: Any = torch.backends
State = tuple[bool, str, str]


def state() -> State:
    """Return whether cuDNN is deterministic, and the precisions of convolutions and matrix products."""
    return BACKENDS.cudnn.deterministic, BACKENDS.cudnn.conv.fp32_precision, BACKENDS.cuda.matmul.fp32_precision


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    cudnn, products, every = BACKENDS.cudnn, BACKENDS.cuda.matmul, BACKENDS.fp32_precision
    before = state()
    yield
    BACKENDS.fp32_precision = every
    cudnn.deterministic, cudnn.conv.fp32_precision, products.fp32_precision = before


@pytest.mark.parametrize("asked", ["none", "tf32"])
def test_full_precision_is_exact_inside_and_restores_settings_afterwards(asked: str) -> None:
    # Settings that TORCH_ALLOW_TF32_CUBLAS_OVERRIDE or a library in the same process may have made
    BACKENDS.fp32_precision = asked
    BACKENDS.cuda.matmul.fp32_precision = asked
    before = state()
    with full_precision():
        assert state() == (True, "ieee", "ieee")
        assert torch.is_inference_mode_enabled()
    assert state() == before
    assert not torch.is_inference_mode_enabled()


def test_settings_are_restored_after_an_error() -> None:
    before = state()
    with pytest.raises(torch.OutOfMemoryError), full_precision():
        raise torch.OutOfMemoryError("CUDA out of memory.")
    assert state() == before


@pytest.mark.cuda
def test_a_gpu_multiplies_in_float32_inside() -> None:
    one = torch.tensor([1.0 + 2.0**-12], device="cuda").expand(64, 64).contiguous()
    kernel = one[:1, :1, None, None]
    with full_precision():
        product = torch.nn.functional.conv2d(one[None, None], kernel)
    assert product.max().item() >= 1 + 2.0**-11, "TF32 has ten bits"
