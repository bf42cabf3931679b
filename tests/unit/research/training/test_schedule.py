"""Tests of the learning rate and the pooled fraction over a stage."""

import pytest

from glam_node.research.training.recipe import StageRecipe
from glam_node.research.training.stages import learning_rate, top_fraction

STAGE = StageRecipe(steps=100, learning_rate=1.0, top_fraction=0.01, initial_top_fraction=0.04)


@pytest.mark.parametrize(("done", "rate"), [(0.025, 0.5), (0.05, 0.994), (0.5, 0.51), (1.0, 0.02)])
def test_the_learning_rate_rises_over_5_percent_and_falls_to_2_percent(done: float, rate: float) -> None:
    assert learning_rate(STAGE, done) == pytest.approx(rate, abs=0.005)


@pytest.mark.parametrize(("done", "fraction"), [(0.0, 0.04), (0.15, 0.025), (0.3, 0.01), (1.0, 0.01)])
def test_the_pooled_fraction_falls_over_the_first_30_percent(done: float, fraction: float) -> None:
    assert top_fraction(STAGE, done) == pytest.approx(fraction)


def test_the_pooled_fraction_is_constant_without_an_initial_fraction() -> None:
    assert top_fraction(StageRecipe(top_fraction=0.03), 0.0) == 0.03
