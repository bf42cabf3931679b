"""Comparison of two models on the same images: differences with intervals, and paired tests of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import FindingKind
from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples, Values
from glam_node.research.evaluation.measure.classification import ScoredRow, image_rows
from glam_node.research.evaluation.measure.image_measures import ImageRow
from glam_node.research.evaluation.measure.ranking import Ranking

PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Prediction(ScoredRow):
    """The result of one model for one class of one image."""

    dice: float | None
    """Dice of map and lesion at the frozen threshold; None without an outlined lesion."""


Named = tuple[str, Sequence[Prediction]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences of the first model from another one in one class, over the images that both could analyse."""

    kind: FindingKind
    first: str
    other: str
    dice_difference: Estimate
    dice_ratio: Estimate
    """Mean Dice of the first model over mean Dice of the other one, both at their frozen thresholds."""
    dice_p_value: float | None
    """Two-sided p value of a permutation test of the difference of the mean Dice."""
    roc_auc_difference: Estimate
    roc_auc_p_value: float | None
    """Two-sided p value of DeLong's test of the difference of the areas."""


def predictions(rows: Sequence[ImageRow], kind: FindingKind) -> list[Prediction]:
    """Return the result of each image for one class."""
    overlaps = [row.classes[kind].overlap for row in rows]
    return [
        Prediction(one.identifier, one.cluster, one.score, one.label, overlap.dice if overlap else None)
        for one, overlap in zip(image_rows(rows, kind), overlaps, strict=True)
    ]


def compare(kind: FindingKind, first: Named, other: Named, resamples: Resamples) -> Comparison:
    """Compare two models, paired by image."""
    by_id = {each.identifier: each for each in other[1]}
    pairs = [(each, by_id[each.identifier]) for each in first[1] if each.identifier in by_id]
    dice = [(one.cluster, one.dice, two.dice) for one, two in pairs]
    known = [(cluster, one, two) for cluster, one, two in dice if one is not None and two is not None]
    clusters = [cluster for cluster, _, _ in known]
    ones, twos = [one for _, one, _ in known], [two for _, _, two in known]
    differences = np.asarray(ones) - np.asarray(twos)
    scores = np.array([[one.score, two.score] for one, two in pairs]).reshape(-1, 2).T
    labels, clusters_of_pairs = [one.label for one, _ in pairs], [one.cluster for one, _ in pairs]
    return Comparison(
        kind=kind,
        first=first[0],
        other=other[0],
        dice_difference=resamples.mean(differences.tolist(), clusters),
        dice_ratio=resamples.ratio(ones, twos, clusters),
        dice_p_value=permutation_p_value(differences, clusters, resamples.seed),
        roc_auc_difference=_auc_difference(scores, labels, clusters_of_pairs, resamples),
        roc_auc_p_value=delong_p_value(scores, labels, clusters_of_pairs),
    )


def _auc_difference(scores: Values, labels: Sequence[bool], clusters: Sequence[str], resamples: Resamples) -> Estimate:
    rankings = [Ranking(of_model, labels) for of_model in scores]

    def difference(weights: Values | None) -> Values:
        return rankings[0].roc_auc(weights) - rankings[1].roc_auc(weights)

    return resamples.estimate(difference, clusters)


def permutation_p_value(
    differences: Values, clusters: Sequence[str], seed: int, permutations: int = PERMUTATIONS
) -> float | None:
    """Return the two-sided p value of paired differences whose mean is 0 if the two models are exchangeable.

    The signs of all differences of a patient change together. The observed signs count as one permutation, so that the
    smallest value is 1 / (permutations + 1).

    Args:
        differences: One difference per image, N.
        clusters: The patient of each difference.
        seed: Seed of the permutations.
        permutations: Number of random assignments of signs.

    Returns:
        None without any difference.
    """
    if not clusters:
        return None
    sums = _sums(tuple(dict.fromkeys(clusters)), clusters, differences)
    signs = np.random.default_rng(seed).integers(0, 2, size=(permutations, len(sums)), dtype=np.int8) * 2 - 1
    # Sums in another order differ in their last bits, and equal ones must count.
    least = abs(sums.sum()) * (1 - 1e-9)
    return float((1 + (np.abs(signs @ sums) >= least).sum()) / (1 + permutations))


def delong_p_value(scores: Values, labels: Sequence[bool], clusters: Sequence[str]) -> float | None:
    """Return the two-sided p value of the difference of two areas under the ROC curve on the same images.

    DeLong et al., Biometrics 1988, with the covariance of Obuchowski, Biometrics 1997, for several images of a patient;
    it is DeLong's own if each patient has one image.

    Args:
        scores: The scores of both models, 2 x N.
        labels: The labels of the N images.
        clusters: The patient of each image.

    Returns:
        None if fewer than two patients have an image with the label, or without it, or if the variance is 0 and the
        areas differ.
    """
    positive = np.asarray(labels, dtype=np.bool_)
    of_positive, of_negative = (
        [cluster for cluster, label in zip(clusters, labels, strict=True) if label is wanted]
        for wanted in (True, False)
    )
    if min(len(set(of_positive)), len(set(of_negative))) < 2:
        return None
    above, below = (np.stack(parts) for parts in zip(*(_placements(each, positive) for each in scores), strict=True))
    areas = above.mean(axis=1)
    difference = areas[0] - areas[1]
    # The contrast of the two models has a variance, so no covariance matrix is needed.
    names = tuple(dict.fromkeys(clusters))
    ones, zeros = (
        _sums(names, of_class, values[0] - values[1] - difference)
        for values, of_class in ((above, of_positive), (below, of_negative))
    )
    count_ones, count_zeros = len(of_positive), len(of_negative)
    variance = (
        _unbiased(len(set(of_positive))) * (ones**2).sum() / count_ones**2
        + _unbiased(len(set(of_negative))) * (zeros**2).sum() / count_zeros**2
        + 2 * _unbiased(len(names)) * (ones * zeros).sum() / (count_ones * count_zeros)
    )
    if variance <= 0:
        return 1.0 if difference == 0 else None
    return erfc(abs(difference) / sqrt(2 * variance))


def _unbiased(count: int) -> float:
    return count / (count - 1)


def _placements(scores: Values, positive: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return for each positive the share of negatives below it, and for each negative that of positives above it."""
    ones, zeros = np.sort(scores[positive]), np.sort(scores[~positive])

    def below(values: Values, among: Values) -> Values:
        ties = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
        return np.asarray(ties / (2 * len(among)))

    return below(scores[positive], zeros), 1 - below(scores[~positive], ones)


def _sums(names: Sequence[str], clusters: Sequence[str], values: Values) -> Values:
    """Return the sum of the values of each named cluster."""
    places = {name: place for place, name in enumerate(names)}
    sums = np.bincount([places[cluster] for cluster in clusters], weights=values, minlength=len(names))
    return sums.astype(np.float64)
