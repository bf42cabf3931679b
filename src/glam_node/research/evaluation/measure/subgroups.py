"""Measures of the images of one density or one view position, to see where a model is worse than on the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples
from glam_node.research.evaluation.measure.classification import share_right
from glam_node.research.evaluation.measure.comparison import predictions
from glam_node.research.evaluation.measure.image_measures import ImageRow
from glam_node.research.evaluation.measure.ranking import Ranking

GROUPINGS: tuple[tuple[str, Callable[[LabelledView], str]], ...] = (
    ("View", lambda view: str(view.view_position)),
    ("Density", lambda view: view.breast_density),
)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Measures of one class on the images of one group; groups are not corrected for being several."""

    name: str
    """Name of the grouping and of the group, for example "Density C"."""
    positives: int
    negatives: int
    roc_auc: Estimate
    sensitivity: Estimate
    """Sensitivity at the operating point of the whole, which is not chosen again for the group."""
    specificity: Estimate
    dice: Estimate
    """Dice of the map at the frozen threshold of the whole."""


def measure_subgroups(
    rows: Sequence[ImageRow], kind: FindingKind, score_threshold: float | None, resamples: Resamples
) -> tuple[Subgroup, ...]:
    """Measure each group of images; a grouping with a single group, or none, is left out."""
    subgroups = []
    for grouping, group_of in GROUPINGS:
        groups = sorted({group_of(row.view) for row in rows} - {""})
        for group in groups if len(groups) > 1 else ():
            inside = [row for row in rows if group_of(row.view) == group]
            subgroups.append(_measure(f"{grouping} {group}", inside, kind, score_threshold, resamples))
    return tuple(subgroups)


def _measure(
    name: str, rows: Sequence[ImageRow], kind: FindingKind, score_threshold: float | None, resamples: Resamples
) -> Subgroup:
    images = predictions(rows, kind)
    labels = [image.label for image in images]
    ranking = Ranking([image.score for image in images], labels)
    dice = [(image.cluster, image.dice) for image in images if image.dice is not None]
    return Subgroup(
        name=name,
        positives=sum(labels),
        negatives=len(labels) - sum(labels),
        roc_auc=resamples.estimate(ranking.roc_auc, [image.cluster for image in images]),
        sensitivity=share_right(images, True, score_threshold, resamples),
        specificity=share_right(images, False, score_threshold, resamples),
        dice=resamples.mean([value for _, value in dice], [cluster for cluster, _ in dice]),
    )
