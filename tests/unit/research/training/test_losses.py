"""Tests of the loss against values computed by hand."""

import math

import pytest
import torch

from glam_node.research.training.stages import bag_loss


def test_the_score_is_the_mean_of_the_largest_values() -> None:
    maps = torch.tensor([[[[0.8, 0.6], [0.1, 0.1]], [[0.2, 0.2], [0.2, 0.2]]]])
    loss = bag_loss(maps, torch.tensor([[1.0, 0.0]]), top_fraction=0.5, sparsity=0.0)
    assert loss.item() == pytest.approx(-(math.log(0.7) + math.log(0.8)) / 2)


def test_sparsity_is_the_sum_of_the_map_over_the_number_of_pooled_values() -> None:
    maps = torch.full((1, 2, 2, 2), 0.5)
    with_it, without = (bag_loss(maps, torch.zeros(1, 2), 0.5, sparsity).item() for sparsity in (0.1, 0.0))
    assert with_it - without == pytest.approx(0.1 * 4 * 0.5 / 2)


def test_saturated_maps_give_a_finite_loss_and_gradient() -> None:
    maps = torch.ones(1, 2, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    loss = bag_loss(maps, torch.zeros(1, 2), 0.1, 0.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()
