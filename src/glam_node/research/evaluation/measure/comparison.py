"""Comparison of two models on the same images, with intervals from the same resamples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glam_node.inference.findings import FindingKind
from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples, Values
from glam_node.research.evaluation.measure.classification import image_rows
from glam_node.research.evaluation.measure.image_measures import ImageRow
from glam_node.research.evaluation.measure.parts import cluster_of
from glam_node.research.evaluation.measure.ranking import Ranking

Named = tuple[str, Sequence[ImageRow]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences of the first model from another one in one class, over the images that both could analyse."""

    kind: FindingKind
    first: str
    other: str
    dice_difference: Estimate
    dice_ratio: Estimate
    """Mean Dice of the first model over mean Dice of the other one, both at their frozen thresholds."""
    roc_auc_difference: Estimate


def compare(kind: FindingKind, first: Named, other: Named, resamples: Resamples) -> Comparison:
    """Compare two models, paired by image."""
    by_id = {row.view.image_id: row for row in other[1]}
    pairs = [(row, by_id[row.view.image_id]) for row in first[1] if row.view.image_id in by_id]
    dice = [(cluster_of(one.view), _dice(one, kind), _dice(two, kind)) for one, two in pairs]
    known = [(cluster, one, two) for cluster, one, two in dice if one is not None and two is not None]
    clusters = [cluster for cluster, _, _ in known]
    ones, twos = [one for _, one, _ in known], [two for _, _, two in known]
    return Comparison(
        kind=kind,
        first=first[0],
        other=other[0],
        dice_difference=resamples.mean((np.asarray(ones) - np.asarray(twos)).tolist(), clusters),
        dice_ratio=resamples.ratio(ones, twos, clusters),
        roc_auc_difference=_auc_difference(pairs, kind, resamples),
    )


def _dice(row: ImageRow, kind: FindingKind) -> float | None:
    overlap = row.classes[kind].overlap
    return overlap.dice if overlap else None


def _auc_difference(pairs: Sequence[tuple[ImageRow, ImageRow]], kind: FindingKind, resamples: Resamples) -> Estimate:
    one, two = (image_rows([pair[place] for pair in pairs], kind) for place in (0, 1))
    rankings = [Ranking([row.score for row in rows], [row.label for row in rows]) for rows in (one, two)]

    def difference(weights: Values | None) -> Values:
        return rankings[0].roc_auc(weights) - rankings[1].roc_auc(weights)

    return resamples.estimate(difference, [row.cluster for row in one])
