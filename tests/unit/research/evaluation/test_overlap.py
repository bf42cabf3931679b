"""Tests of overlap measures against values computed by hand and by scikit-learn."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from glam_node.research.evaluation.measure.levels import KEPT, LEVELS, at_least, count_pixels, levels_of, threshold_of
from glam_node.research.evaluation.measure.overlap import (
    average_precision,
    dice,
    measure_overlap,
    pointing_hit,
    soft_dice,
    trial_of,
)

LESION = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=bool)
SALIENCY = np.array([[0.0, 0.1, 0.0], [0.2, 0.9, 0.6], [0.0, 0.7, 0.3]], dtype=np.float32)


def noise(seed: int = 1, shape: tuple[int, int] = (60, 50)) -> NDArray[np.float32]:
    """Return values over the whole range, some of which are equal."""
    values = np.random.default_rng(seed).random(shape) ** 4
    return (np.round(values * 512) / 512).astype(np.float32)


def test_dice_of_two_of_three_pixels_and_one_outside_is_two_thirds() -> None:
    assert dice(SALIENCY > 0.5, LESION) == pytest.approx(2 * 2 / (3 + 3))


def test_dice_of_nothing_found_is_0() -> None:
    assert dice(SALIENCY > 1, LESION) == 0


def test_soft_dice_sums_saliency() -> None:
    assert soft_dice(SALIENCY, LESION) == pytest.approx(2 * (0.9 + 0.6 + 0.3) / (2.8 + 3))


def test_average_precision_equals_a_count_by_hand() -> None:
    # In the order of saliency: hit, miss, hit, hit.
    assert average_precision(count_pixels(SALIENCY, LESION)) == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)


def test_the_oracle_takes_the_best_threshold_of_the_image() -> None:
    overlap, _ = measure_overlap(SALIENCY, LESION, threshold=0.5)
    assert overlap.dice == pytest.approx(2 / 3)
    assert overlap.oracle_dice == pytest.approx(2 * 3 / (4 + 3))


def test_average_precision_equals_that_of_scikit_learn() -> None:
    values, lesion = noise(), noise(2) > 0.4
    expected = average_precision_score(lesion.ravel(), values.ravel())
    assert average_precision(count_pixels(values, lesion)) == pytest.approx(expected, abs=1e-12)


def test_average_precision_of_images_without_lesions_is_not_a_number() -> None:
    assert math.isnan(average_precision(count_pixels(SALIENCY, np.zeros_like(LESION))))


def test_pooled_average_precision_ranks_the_pixels_of_all_images_together() -> None:
    first, second = noise(1), (noise(3, (9, 7)) / 2).astype(np.float32)
    lesion, other = noise(2) > 0.4, noise(4, (9, 7)) > 0.1
    ranked, lesions = np.append(first, second), np.append(lesion, other)
    expected = average_precision_score(lesions, ranked)
    assert average_precision(count_pixels(first, lesion) + count_pixels(second, other)) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize(("row", "column", "hit"), [(1, 1, True), (0, 0, False)])
def test_the_pointing_measure_uses_the_place_of_the_largest_value(row: int, column: int, hit: bool) -> None:
    saliency = np.zeros((3, 3), dtype=np.float32)
    saliency[row, column] = 0.5
    assert pointing_hit(saliency, LESION) is hit


def test_several_largest_values_hit_if_half_of_them_lie_inside() -> None:
    assert pointing_hit(np.where(LESION | (SALIENCY > 0.65), 1, 0).astype(np.float32), LESION)
    assert not pointing_hit(np.ones((3, 3), dtype=np.float32), LESION)


def test_levels_keep_the_order_of_values() -> None:
    values = np.sort(np.concatenate([noise().ravel(), np.array([0, 1e-12, 1e-5, 1], dtype=np.float32)]))
    levels = levels_of(values)
    assert (np.diff(levels) >= 0).all()
    assert (levels[0], levels[-1]) == (0, LEVELS - 1)


@pytest.mark.parametrize("level", [1, 700, 5000, LEVELS - 1])
def test_values_above_a_threshold_are_at_its_level_or_higher(level: int) -> None:
    values = np.concatenate([noise().ravel(), np.geomspace(1e-7, 1, 5000).astype(np.float32)])
    assert np.array_equal(values > threshold_of(level), levels_of(values) >= level)


def test_no_value_exceeds_the_threshold_beyond_the_last_level() -> None:
    assert not (np.ones(1, dtype=np.float32) > threshold_of(LEVELS)).any()


def test_a_trial_counts_what_each_threshold_would_find() -> None:
    values, lesion = noise(), noise(2) > 0.4
    trial = trial_of(values, lesion, int(lesion.sum()))
    for place in (0, 400, 1100, len(KEPT) - 1):
        found = values > threshold_of(int(KEPT[place]))
        assert (trial.found[place], trial.hits[place]) == (found.sum(), (found & lesion).sum())


def test_counts_are_accumulated_from_the_top_level() -> None:
    assert at_least(np.array([3, 0, 2])).tolist() == [5, 2, 2]
