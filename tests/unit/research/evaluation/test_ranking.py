"""Tests of areas under curves against values computed by hand and by scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from glam_node.research.evaluation.measure.ranking import Ranking


def rows(seed: int = 1, count: int = 200) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores with many ties, and labels that correlate with them."""
    generator = np.random.default_rng(seed)
    labels = generator.random(count) < 0.3
    return np.round(generator.normal(labels, 1.0), 1), labels


def test_the_roc_auc_counts_a_tie_as_one_half() -> None:
    ranking = Ranking([0.5, 0.5, 0.1], [True, False, False])
    assert ranking.roc_auc()[0] == pytest.approx(0.75)


def test_roc_auc_equals_that_of_scikit_learn() -> None:
    scores, labels = rows()
    assert Ranking(scores, labels).roc_auc()[0] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_pr_auc_is_the_trapezoidal_area_under_scikit_learns_points() -> None:
    scores, labels = rows()
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert Ranking(scores, labels).pr_auc()[0] == pytest.approx(auc(recall, precision), abs=1e-12)


def test_the_roc_curve_equals_that_of_scikit_learn() -> None:
    scores, labels = rows()
    rate, sensitivity, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert Ranking(scores, labels).roc_points() == pytest.approx(np.stack([rate, sensitivity], axis=1))


def test_the_precision_recall_curve_equals_that_of_scikit_learn() -> None:
    scores, labels = rows()
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert Ranking(scores, labels).pr_points() == pytest.approx(np.stack([recall, precision], axis=1)[::-1])


def test_a_weight_counts_a_row_that_often() -> None:
    scores, labels = rows(count=60)
    times = np.random.default_rng(5).integers(0, 4, (3, 60))
    ranking = Ranking(scores, labels)
    for area, function in (
        (ranking.roc_auc(times.astype(float)), "roc_auc"),
        (ranking.pr_auc(times.astype(float)), "pr_auc"),
    ):
        repeated = [Ranking(scores.repeat(each), labels.repeat(each)) for each in times]
        assert area == pytest.approx([getattr(each, function)()[0] for each in repeated])


def test_one_class_alone_has_no_area() -> None:
    ranking = Ranking([0.1, 0.2], [True, True])
    assert not ranking.two_classes
    assert np.isnan([ranking.roc_auc()[0], ranking.pr_auc()[0], Ranking([0.1], [False]).pr_auc()[0]]).all()
