"""Tests of the score of a map, against values computed by hand."""

import torch

from glam_node.inference.glam.network import top_fraction_mean


def test_the_mean_is_over_the_largest_values_of_each_class() -> None:
    maps = torch.arange(20.0).reshape(1, 2, 2, 5)
    assert top_fraction_mean(maps, 0.2).tolist() == [[8.5, 18.5]]


def test_the_score_of_the_usual_map_uses_662_values() -> None:
    maps = torch.zeros(1, 1, 184, 120)
    maps.view(-1)[:663] = 1.0
    assert top_fraction_mean(maps).item() == 1.0
    maps.view(-1)[661:] = 0.0
    torch.testing.assert_close(top_fraction_mean(maps), torch.tensor([[661 / 662]]))


def test_the_mean_uses_at_least_one_value() -> None:
    assert top_fraction_mean(torch.tensor([[[[0.1, 0.7]]]]), 0.01).item() == torch.tensor(0.7).item()
