"""Classification by scores of images, breasts and studies into those with a lesion and those without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples, Values
from glam_node.research.evaluation.measure.image_measures import ImageRow
from glam_node.research.evaluation.measure.parts import cluster_of
from glam_node.research.evaluation.measure.ranking import Ranking

_CURVE_POINTS = 200

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """Score and label of one image, breast or study for one class."""

    identifier: str
    cluster: str
    """The patient or study that a bootstrap draws as a whole."""
    score: float
    label: bool


@dataclass(frozen=True, slots=True)
class Classification:
    """Result for one class on one level; areas and curves are missing if all rows have the same label."""

    positives: int
    negatives: int
    roc_auc: Estimate
    """Area under the ROC curve (Mann-Whitney; ties count 1/2)."""
    pr_auc: Estimate
    """Trapezoidal area under the precision-recall curve; not average precision."""
    roc: Points
    """Points of false positive rate and sensitivity."""
    pr: Points
    """Points of recall and precision."""


def image_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """Return one row per image."""
    place = CHANNELS.index(kind)
    return [
        ScoredRow(row.view.image_id, cluster_of(row.view), row.classes[kind].score, row.view.labels[place])
        for row in rows
    ]


def breast_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """Return one row per breast, with the mean score of the views that exist."""
    return _grouped(image_rows(rows, kind), [row.view.breast_id for row in rows], lambda scores: float(np.mean(scores)))


def study_rows(rows: Sequence[ImageRow], kind: FindingKind) -> list[ScoredRow]:
    """Return one row per study, with the larger score of its breasts."""
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
    """Compute areas with intervals, and curves."""
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


def share_right(
    rows: Sequence[ScoredRow], label: bool, score_threshold: float | None, resamples: Resamples
) -> Estimate:
    """Return the share of the rows with this label that the threshold judges right; none without a threshold."""
    chosen = [row for row in rows if row.label is label and score_threshold is not None]
    right = [float((row.score >= (score_threshold or 0.0)) is label) for row in chosen]
    return resamples.mean(right, [row.cluster for row in chosen])


def _thinned(points: Values) -> Points:
    """Return at most 200 of the points, including both ends."""
    places = np.unique(np.linspace(0, len(points) - 1, min(len(points), _CURVE_POINTS)).round().astype(int))
    return tuple((float(x), float(y)) for x, y in points[places])
