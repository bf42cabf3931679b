"""Tests of calibration against values computed by hand and by scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from glam_node.research.evaluation.measure.calibration import calibration, fit_isotonic, fit_platt


def rows(count: int = 500) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return labels, and scores that exaggerate: the true probability is logistic(logit(score) / 2 - 0.5)."""
    generator = np.random.default_rng(1)
    margins = generator.normal(0, 2, count)
    labels = generator.random(count) < 1 / (1 + np.exp(0.5 - margins / 2))
    return np.round(1 / (1 + np.exp(-margins)), 3), labels


def test_the_error_is_the_gap_between_score_and_share_in_each_bin() -> None:
    result = calibration([0.15, 0.15, 0.95, 0.95], [False, True, True, True])
    assert result.expected_error == pytest.approx((0.35 + 0.05) / 2)
    assert [(each.count, each.positive_share) for each in result.bins] == [(2, 0.5), (2, 1.0)]


def test_the_largest_score_is_in_the_last_bin() -> None:
    assert calibration([1.0, 0.9], [True, True]).bins[0].count == 2


def test_brier_equals_that_of_scikit_learn() -> None:
    scores, labels = rows()
    assert calibration(scores, labels.tolist()).brier == pytest.approx(brier_score_loss(labels, scores))


def test_platt_finds_the_scale_that_the_labels_were_drawn_with() -> None:
    scores, labels = rows(20000)
    scale = fit_platt(scores.tolist(), labels.tolist())
    assert (scale.slope, scale.intercept) == pytest.approx((0.5, -0.5), abs=0.05)
    assert calibration(scale.apply(scores), labels.tolist()).expected_error < 0.02


@pytest.mark.parametrize("labels", [[False, False, True, True], [False] * 4, [True] * 4])
def test_platt_of_separated_or_one_sided_labels_is_finite(labels: list[bool]) -> None:
    scale = fit_platt([0.1, 0.2, 0.8, 0.9], labels)
    assert np.isfinite([scale.slope, scale.intercept]).all()


def test_isotonic_equals_that_of_scikit_learn() -> None:
    scores, labels = rows()
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    asked = np.linspace(0, 1, 777)
    assert fit_isotonic(scores.tolist(), labels.tolist()).apply(asked) == pytest.approx(expected.predict(asked))
