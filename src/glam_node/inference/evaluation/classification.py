"""How well scores tell images, breasts and studies with a lesion from those without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glam_node.inference.evaluation.bootstrap import Estimate, Resamples, Values
from glam_node.inference.evaluation.measuring import ImageRow
from glam_node.inference.evaluation.parts import cluster_of
from glam_node.inference.evaluation.ranking import Ranking
from glam_node.inference.findings import CHANNELS, FindingKind

_CURVE_POINTS = 200

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One image, breast or study and one class."""

    identifier: str
    cluster: str
    """What a bootstrap draws as a whole."""
    score: float
    label: bool


@dataclass(frozen=True, slots=True)
class Classification:
    """One class on one level; no areas and no curves where only one class of rows is there."""

    positives: int
    negatives: int
    roc_auc: Estimate
    """Mann-Whitney, ties count 1/2."""
    pr_auc: Estimate
    """Trapezoidal; not average precision."""
    roc: Points
    """False positive rate, sensitivity."""
    pr: Points
    """Recall, precision."""


def image_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """One row per image."""
    place = CHANNELS.index(kind)
    return [
        ScoredRow(row.view.image_id, cluster_of(row.view), row.classes[kind].score, row.view.labels[place])
        for row in rows
    ]


def breast_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """One row per breast: the mean of its views' scores; a missing view is passed over."""
    return _grouped(image_rows(rows, kind), [row.view.breast_id for row in rows], lambda scores: float(np.mean(scores)))


def study_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """One row per study: the larger score of its breasts."""
    study_of = {row.view.breast_id: row.view.study_id for row in rows}
    breasts = breast_rows(rows, kind)
    return _grouped(breasts, [study_of[breast.identifier] for breast in breasts], max)


def _grouped(rows: Sequence[ScoredRow], groups: Sequence[str], join: Callable[[list[float]], float]) -> list[ScoredRow]:
    members: dict[str, list[ScoredRow]] = {}
    for group, row in zip(groups, rows, strict=True):
        members.setdefault(group, []).append(row)
    return [
        ScoredRow(group, inside[0].cluster, join([row.score for row in inside]), any(row.label for row in inside))
        for group, inside in members.items()
    ]


def classify(rows: Sequence[ScoredRow], resamples: Resamples) -> Classification:
    """Areas with intervals, and the curves."""
    clusters = [row.cluster for row in rows]
    ranking = Ranking([row.score for row in rows], [row.label for row in rows])
    positives = sum(row.label for row in rows)
    return Classification(
        positives=positives,
        negatives=len(rows) - positives,
        roc_auc=resamples.estimate(ranking.roc_auc, clusters),
        pr_auc=resamples.estimate(ranking.pr_auc, clusters),
        roc=_thinned(ranking.roc_points()) if ranking.two_classes else (),
        pr=_thinned(ranking.pr_points()) if ranking.two_classes else (),
    )


def _thinned(points: Values) -> Points:
    """At most 200 of them, the ends included."""
    places = np.unique(np.linspace(0, len(points) - 1, min(len(points), _CURVE_POINTS)).round().astype(int))
    return tuple((float(x), float(y)) for x, y in points[places])
