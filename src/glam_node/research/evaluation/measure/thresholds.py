"""Choice of thresholds on validation images, which are frozen before any test image is analysed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.research.evaluation.measure.levels import KEPT, LEVELS, threshold_of
from glam_node.research.evaluation.measure.overlap import TOP_FRACTIONS, ThresholdTrial

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """A threshold for saliency, with its result on the images that it was chosen on."""

    threshold: float
    mean_dice: float


@dataclass(frozen=True, slots=True)
class ChosenPair:
    """Thresholds for the two sources of evidence, chosen together."""

    closely: float
    elsewhere: float
    mean_dice: float


@dataclass(frozen=True, slots=True)
class ScoreThreshold:
    """The least score of a positive image, with the result on the images that it was chosen on."""

    threshold: float
    sensitivity: float
    specificity: float


def choose_threshold(trials: Sequence[ThresholdTrial]) -> ChosenThreshold | None:
    """Choose the threshold of the largest mean Dice among 40 quantiles of all trials' pixels; None without a trial."""
    if not trials:
        return None
    places = _quantile_places(trials)
    found, hits, lesion_px = _counts_at(trials, places)
    dice: Values = (2 * hits / (found + lesion_px[:, None])).sum(axis=0) / len(trials)
    best = int(dice.argmax())
    return ChosenThreshold(_threshold_at(places[best]), float(dice[best]))


def choose_pair(closely: Sequence[ThresholdTrial], elsewhere: Sequence[ThresholdTrial]) -> ChosenPair | None:
    """Choose the two thresholds of the largest mean Dice, each among 40 quantiles of its source's pixels.

    `closely` and `elsewhere` are the two parts of the same images; both have the lesion pixels of the whole image. The
    threshold for elsewhere may also be one that no pixel exceeds.
    """
    if not closely:
        return None
    near, far = _quantile_places(closely), [*_quantile_places(elsewhere), len(KEPT)]
    found, hits, lesion_px = _counts_at(closely, near)
    far_found, far_hits, _ = _counts_at(elsewhere, far)
    below = far_found + lesion_px[:, None]
    dice = np.array(
        [(2 * (hits[:, [place]] + far_hits) / (found[:, [place]] + below)).mean(axis=0) for place in range(len(near))]
    )
    first, second = (int(place) for place in np.unravel_index(dice.argmax(), dice.shape))
    return ChosenPair(_threshold_at(near[first]), _threshold_at(far[second]), float(dice.max()))


def _quantile_places(trials: Sequence[ThresholdTrial]) -> list[int]:
    """Return for each of TOP_FRACTIONS the highest place in KEPT with that share of all pixels at or above it."""
    above = np.sum([trial.found for trial in trials], axis=0, dtype=np.int64)
    share = above / max(sum(trial.pixel_count for trial in trials), 1)
    places = (max(int((share >= fraction).sum()) - 1, 0) for fraction in TOP_FRACTIONS)
    return list(dict.fromkeys(places))


def _counts_at(trials: Sequence[ThresholdTrial], places: list[int]) -> tuple[Values, Values, Values]:
    """Return the pixels found, all and in lesions, per trial and place, and the lesion pixels per trial."""
    found = np.array([np.append(trial.found, 0)[places] for trial in trials], dtype=np.float64)
    hits = np.array([np.append(trial.hits, 0)[places] for trial in trials], dtype=np.float64)
    return found, hits, np.array([trial.lesion_px for trial in trials], dtype=np.float64)


def _threshold_at(place: int) -> float:
    return threshold_of(int(KEPT[place]) if place < len(KEPT) else LEVELS)


def score_threshold(
    scores: Sequence[float],
    labels: Sequence[bool],
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> ScoreThreshold | None:
    """Choose the highest threshold with the wanted sensitivity, or the lowest with the wanted specificity.

    The threshold lies half-way to the next score, so that rounding errors change no result. The function returns None
    unless both labels occur.
    """
    given, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.bool_)
    if not truth.any() or truth.all():
        return None
    if specificity is None:
        ordered = np.sort(given[truth])[::-1]
        last = ordered[max(_needed(sensitivity or 0.0, len(ordered)), 1) - 1]
        lower = given[given < last]
        threshold = (last + lower.max()) / 2 if lower.size else last
    else:
        ordered = np.sort(given[~truth])
        last = ordered[max(_needed(specificity, len(ordered)), 1) - 1]
        higher = given[given > last]
        threshold = (last + higher.min()) / 2 if higher.size else np.nextafter(last, np.inf)
    positive = given >= threshold
    return ScoreThreshold(float(threshold), float(positive[truth].mean()), float((~positive[~truth]).mean()))


def _needed(share: float, count: int) -> int:
    return math.ceil(share * count - 1e-9)


def minimum_area(areas_of_normals: Sequence[Sequence[int]], wanted_per_normal: float) -> int:
    """Return the least area, at least 1, that leaves at most `wanted_per_normal` regions per normal image."""
    areas = sorted((area for areas in areas_of_normals for area in areas), reverse=True)
    allowed = math.floor(wanted_per_normal * len(areas_of_normals) + 1e-9)
    return areas[allowed] + 1 if len(areas) > allowed else 1
