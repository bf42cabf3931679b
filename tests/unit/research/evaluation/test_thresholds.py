"""Tests of choices on validation images, against brute force."""

import numpy as np
import pytest

from glam_node.research.evaluation.measure.overlap import dice, trial_of
from glam_node.research.evaluation.measure.thresholds import (
    choose_pair,
    choose_threshold,
    minimum_area,
    score_threshold,
)

GENERATOR = np.random.default_rng(4)
LESIONS = [GENERATOR.random((30, 30)) < 0.1 for _ in range(4)]
MAPS = [np.clip(GENERATOR.normal(0.3 + 0.3 * lesion, 0.12), 0, 1).astype(np.float32) for lesion in LESIONS]


def test_the_threshold_is_as_good_as_any_of_a_fine_grid() -> None:
    chosen = choose_threshold(
        [trial_of(each, lesion, int(lesion.sum())) for each, lesion in zip(MAPS, LESIONS, strict=True)]
    )
    means = [
        np.mean([dice(each > threshold, lesion) for each, lesion in zip(MAPS, LESIONS, strict=True)])
        for threshold in np.linspace(0, 1, 300)
    ]
    assert chosen is not None
    assert chosen.mean_dice == pytest.approx(max(means), abs=0.01)


def test_the_stated_dice_is_that_of_the_threshold() -> None:
    chosen = choose_threshold(
        [trial_of(each, lesion, int(lesion.sum())) for each, lesion in zip(MAPS, LESIONS, strict=True)]
    )
    assert chosen is not None
    again = np.mean([dice(each > chosen.threshold, lesion) for each, lesion in zip(MAPS, LESIONS, strict=True)])
    assert chosen.mean_dice == pytest.approx(again, abs=1e-12)


def test_the_thresholds_of_two_sources_are_chosen_together() -> None:
    """In the left half saliency is twice as high, so one threshold would not do."""
    left = np.arange(30)[None, :].repeat(30, axis=0) < 15
    maps = [np.where(left, each, each / 2).astype(np.float32) for each in MAPS]
    near, far = (
        [trial_of(each[part], lesion[part], int(lesion.sum())) for each, lesion in zip(maps, LESIONS, strict=True)]
        for part in (left, ~left)
    )
    pair = choose_pair(near, far)
    assert pair is not None
    assert pair.elsewhere == pytest.approx(pair.closely / 2, rel=0.15)
    found = [np.where(left, each > pair.closely, each > pair.elsewhere) for each in maps]
    assert pair.mean_dice == pytest.approx(np.mean([dice(*both) for both in zip(found, LESIONS, strict=True)]))


def test_a_source_that_is_always_wrong_is_never_used() -> None:
    near = [trial_of(np.ones(4, dtype=np.float32) * 0.5, np.ones(4, dtype=bool), 4)]
    far = [trial_of(np.linspace(0, 1, 50).astype(np.float32), np.zeros(50, dtype=bool), 4)]
    pair = choose_pair(near, far)
    assert pair is not None
    assert (pair.elsewhere, pair.mean_dice) == (1.0, 1.0)


def test_no_threshold_is_chosen_without_a_lesion() -> None:
    assert choose_threshold([]) is None
    assert choose_pair([], []) is None


SCORES, LABELS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [True, True, False, True, False, False]


@pytest.mark.parametrize(
    ("sensitivity", "threshold", "specificity"),
    [(0.5, 0.75, 1.0), (0.66, 0.75, 1.0), (0.67, 0.55, 2 / 3), (1, 0.55, 2 / 3)],
)
def test_the_threshold_is_the_highest_with_the_wanted_sensitivity(
    sensitivity: float, threshold: float, specificity: float
) -> None:
    chosen = score_threshold(SCORES, LABELS, sensitivity=sensitivity)
    assert chosen is not None
    assert (chosen.threshold, chosen.specificity) == pytest.approx((threshold, specificity))
    assert chosen.sensitivity >= sensitivity


@pytest.mark.parametrize(
    ("specificity", "threshold", "sensitivity"),
    [(0.3, 0.45, 1.0), (0.6, 0.55, 1.0), (0.67, 0.75, 2 / 3), (1, 0.75, 2 / 3)],
)
def test_the_threshold_is_the_lowest_with_the_wanted_specificity(
    specificity: float, threshold: float, sensitivity: float
) -> None:
    chosen = score_threshold(SCORES, LABELS, specificity=specificity)
    assert chosen is not None
    assert (chosen.threshold, chosen.sensitivity) == pytest.approx((threshold, sensitivity))
    assert chosen.specificity >= specificity


def test_rows_of_one_label_give_no_score_threshold() -> None:
    assert score_threshold([0.1, 0.2], [True, True], sensitivity=0.9) is None
    assert score_threshold([0.1, 0.2], [False, False], sensitivity=0.9) is None


@pytest.mark.parametrize(("wanted", "area"), [(0.0, 51), (0.25, 21), (0.5, 8), (2.0, 1)])
def test_the_least_area_leaves_as_many_false_regions_as_wanted(wanted: float, area: int) -> None:
    assert minimum_area([[50, 3], [20], [7, 7], []], wanted) == area
