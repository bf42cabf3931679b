"""Calibration of scores: how far they are from probabilities, and two scales that turn them into probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glam_node.inference.platt import PlattScale, Values, logit

BINS = 10
_LEAST = 1e-7
_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose score lies in one of ten equal bins from 0 to 1."""

    count: int
    mean_score: float
    positive_share: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measures of how far scores are from probabilities."""

    brier: float
    """Mean of (score - label) squared."""
    expected_error: float
    """ECE: mean over rows of |mean score - share of positives| of the row's bin; ten bins of equal width."""
    bins: tuple[ReliabilityBin, ...]
    """The bins that are not empty, in the order of scores."""


@dataclass(frozen=True, slots=True)
class IsotonicScale:
    """A scale that interpolates linearly between (score, probability) knots and is constant beyond them."""

    knots: tuple[tuple[float, float], ...]

    def apply(self, scores: Values) -> Values:
        """Return the probabilities of `scores`."""
        positions, probabilities = zip(*self.knots, strict=True)
        return np.asarray(np.interp(scores, positions, probabilities))


def calibration(scores: Sequence[float] | Values, labels: Sequence[bool]) -> Calibration:
    """Measure the calibration of `scores`, which are 0 to 1; there must be at least one row."""
    given, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    places = np.minimum((given * BINS).astype(int), BINS - 1)
    bins = []
    for place in np.unique(places):
        chosen = places == place
        bins.append(
            ReliabilityBin(int(chosen.sum()), float(given[chosen].mean()), float(truth[chosen].mean())),
        )
    error = sum(each.count * abs(each.mean_score - each.positive_share) for each in bins) / len(given)
    return Calibration(float(((given - truth) ** 2).mean()), error, tuple(bins))


def fit_platt(scores: Sequence[float], labels: Sequence[bool]) -> PlattScale:
    """Fit a logistic regression of labels on the logit of the score, with Platt's smoothed targets.

    In J. Platt, Probabilistic outputs for support vector machines, 1999, a positive counts (P + 1) / (P + 2) and a
    negative 1 / (N + 2), so that perfectly separated scores have a solution. The fit uses Newton's method.
    """
    truth = np.asarray(labels, dtype=bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    targets = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([logit(np.asarray(scores, dtype=np.float64)), np.ones(len(truth))], axis=1)
    solution = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    loss = _log_loss(design @ solution, targets)
    for _ in range(_ITERATIONS):
        probabilities = 1 / (1 + np.exp(-design @ solution))
        weights = probabilities * (1 - probabilities)
        curvature = design.T @ (design * weights[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (targets - probabilities))
        reached = _log_loss(design @ (solution + step), targets)
        while reached > loss and np.abs(step).max() > _LEAST:
            step = step / 2
            reached = _log_loss(design @ (solution + step), targets)
        solution, loss = solution + step, reached
        if np.abs(step).max() < _LEAST:
            break
    return PlattScale(float(solution[0]), float(solution[1]))


def fit_isotonic(scores: Sequence[float], labels: Sequence[bool]) -> IsotonicScale:
    """Fit the rising step function nearest to the labels (pool adjacent violators), with knots at the ends of steps."""
    given, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    positions, places, counts = np.unique(given, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=truth)
    blocks: list[list[float]] = []
    for position, positive, count in zip(positions.tolist(), sums.tolist(), counts.tolist(), strict=True):
        blocks.append([positive, count, position, position])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1], blocks[-1][2], last[3]]
    knots = [(end, positive / count) for positive, count, first, last in blocks for end in dict.fromkeys((first, last))]
    return IsotonicScale(tuple(knots))


def _log_loss(margins: Values, targets: Values) -> float:
    return float((np.logaddexp(0, margins) - targets * margins).sum())
