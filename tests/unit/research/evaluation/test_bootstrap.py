"""Tests of intervals by resampling studies."""

import numpy as np
import pytest

from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples
from glam_node.research.evaluation.measure.ranking import Ranking

STUDIES = [str(number) for number in range(60)]


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(5, 1, 60)
    estimate = Resamples(STUDIES, 2000, seed=3).mean(values.tolist(), STUDIES)
    assert estimate.low is not None and estimate.high is not None
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * values.std() / 60**0.5, rel=0.1)


def test_views_of_one_study_stay_together() -> None:
    """Four equal views of each woman say no more than one."""
    values = np.random.default_rng(1).normal(5, 1, 60)
    resamples = Resamples(STUDIES, 500, seed=3)
    once = resamples.mean(values.tolist(), STUDIES)
    four_times = resamples.mean(values.repeat(4).tolist(), [study for study in STUDIES for _ in range(4)])
    assert (four_times.low, four_times.high) == pytest.approx((once.low, once.high))


def test_the_same_seed_gives_the_same_interval() -> None:
    values = list(range(60))
    first, second, other = (Resamples(STUDIES, 200, seed).mean(values, STUDIES) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_resamples_of_one_class_only_are_left_out() -> None:
    scores, labels = [0.9, 0.2, 0.3, 0.1], [True, False, False, False]
    estimate = Resamples(STUDIES[:4], 300).estimate(Ranking(scores, labels).roc_auc, STUDIES[:4])
    assert (estimate.value, estimate.low, estimate.high, estimate.count) == (1.0, 1.0, 1.0, 4)


def test_a_value_that_cannot_be_estimated_has_no_interval() -> None:
    resamples = Resamples(STUDIES, 10)
    assert resamples.estimate(Ranking([0.1, 0.2], [True, True]).roc_auc, ["1", "2"]) == Estimate(None, count=2)
    assert resamples.mean([], []) == Estimate(None)


def test_a_ratio_is_the_ratio_of_sums() -> None:
    estimate = Resamples(STUDIES, 50).ratio([1.0, 0.0, 3.0], [2.0, 1.0, 5.0], ["1", "2", "3"])
    assert (estimate.value, estimate.count) == (0.5, 3)
