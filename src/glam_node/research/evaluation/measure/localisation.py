"""Measures of how well lesions are outlined and found, over all test images of one class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glam_node.inference.findings import FindingKind
from glam_node.research.evaluation.measure.bootstrap import Estimate, Resamples, Values
from glam_node.research.evaluation.measure.froc import RATES, Froc, FrocCurve, froc
from glam_node.research.evaluation.measure.image_measures import ImageRow
from glam_node.research.evaluation.measure.levels import PixelCounts
from glam_node.research.evaluation.measure.overlap import MISS_DICE, Overlap, average_precision, average_precision_of
from glam_node.research.evaluation.measure.parts import cluster_of
from glam_node.research.evaluation.measure.tuning import normal_views

_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Tertile:
    """The images of one third of all lesion sizes."""

    largest_px: int
    """The largest lesion area among them, in pixels."""
    dice: Estimate


@dataclass(frozen=True, slots=True)
class OverlapMeasures:
    """Measures of the saliency map, over images with a lesion of the class."""

    threshold: float | None
    dice: Estimate
    """Dice at the frozen threshold."""
    oracle_dice: Estimate
    """Dice of each image at its own best threshold; an upper bound, not a result."""
    soft_dice: Estimate
    pooled_average_precision: Estimate
    """Average precision of the pixels of all images in one ranking."""
    mean_average_precision: Estimate
    """Mean of the average precision of each image."""
    pointing_hit: Estimate
    miss_rate: Estimate
    """Share of images with Dice below 0.1."""
    dice_by_area: tuple[Tertile, ...]


@dataclass(frozen=True, slots=True)
class FindingMeasures:
    """Measures of the findings at the operating point."""

    dice: Estimate
    """Dice of all findings of an image with its lesions; 0 if the image's score is below its threshold."""
    lesion_sensitivity: Estimate
    """Share of lesions that are hit by a finding."""
    false_positives_per_normal: Estimate
    """Findings per normal image, as the node reports them."""
    ungated_false_positives_per_normal: Estimate
    """Findings per normal image if every image's score passed."""
    normals_with_findings: Estimate
    froc: FrocCurve | None
    """The curve regardless of the image's score, with the minimum area applied."""
    sensitivity_at: tuple[tuple[float, Estimate], ...]
    """Pairs of false positives per normal image and the sensitivity on the curve."""


def measure_maps(
    rows: Sequence[ImageRow],
    kind: FindingKind,
    pooled: PixelCounts | None,
    threshold: float | None,
    resamples: Resamples,
) -> OverlapMeasures | None:
    """Measure the saliency maps; return None if no lesion of the class is outlined."""
    outlined = [(row, overlap) for row in rows if (overlap := row.classes[kind].overlap) is not None]
    if pooled is None or not outlined:
        return None
    clusters = [cluster_of(row.view) for row, _ in outlined]
    overlaps = [overlap for _, overlap in outlined]
    with_dice = [overlap.dice for overlap in overlaps if overlap.dice is not None]
    frozen = clusters if with_dice else []
    return OverlapMeasures(
        threshold=threshold,
        dice=resamples.mean(with_dice, frozen),
        oracle_dice=resamples.mean([overlap.oracle_dice for overlap in overlaps], clusters),
        soft_dice=resamples.mean([overlap.soft_dice for overlap in overlaps], clusters),
        pooled_average_precision=_pooled(overlaps, average_precision(pooled), clusters, resamples),
        mean_average_precision=resamples.mean([overlap.average_precision for overlap in overlaps], clusters),
        pointing_hit=resamples.mean([float(overlap.pointing_hit) for overlap in overlaps], clusters),
        miss_rate=resamples.mean([float(dice < MISS_DICE) for dice in with_dice], frozen),
        dice_by_area=tuple(_tertiles(overlaps, clusters, resamples)) if with_dice else (),
    )


def _pooled(overlaps: Sequence[Overlap], value: float, clusters: Sequence[str], resamples: Resamples) -> Estimate:
    """Return the pooled average precision: its value from all levels, its interval from every eighth level."""
    trials = [overlap.trial for overlap in overlaps]
    found = np.array([[trial.pixel_count, *trial.found] for trial in trials], dtype=np.float64)
    hits = np.array([[trial.lesion_px, *trial.hits] for trial in trials], dtype=np.float64)

    def statistic(weights: Values | None) -> Values:
        drawn = np.ones((1, len(found))) if weights is None else weights
        return np.array([average_precision_of(*counts) for counts in zip(drawn @ found, drawn @ hits, strict=True)])

    return replace(resamples.estimate(statistic, clusters), value=value)


def _tertiles(overlaps: Sequence[Overlap], clusters: Sequence[str], resamples: Resamples) -> list[Tertile]:
    """Return three groups of equally many images, from small lesions to large ones."""
    order = np.argsort([overlap.lesion_px for overlap in overlaps], kind="stable")
    tertiles = []
    for places in np.array_split(order, 3):
        chosen = [overlaps[place] for place in places]
        if chosen:
            dice = resamples.mean([overlap.dice or 0.0 for overlap in chosen], [clusters[place] for place in places])
            tertiles.append(Tertile(chosen[-1].lesion_px, dice))
    return tertiles


def measure_findings(rows: Sequence[ImageRow], kind: FindingKind, resamples: Resamples) -> FindingMeasures | None:
    """Measure the findings; return None without an operating point."""
    of_class = [(row.view, found) for row in rows if (found := row.classes[kind].found) is not None]
    if not of_class:
        return None
    normal = {view.image_id for view in normal_views([view for view, _ in of_class], kind)}
    normals = [(cluster_of(view), found) for view, found in of_class if view.image_id in normal]
    outlined = [(cluster_of(view), found) for view, found in of_class if found.dice is not None]
    clusters, normal_clusters = ([cluster for cluster, _ in some] for some in (outlined, normals))
    rates = froc(
        [(cluster, found.scores) for cluster, found in normals],
        [(cluster, found.lesion_scores) for cluster, found in outlined],
    )
    hit = [float(found.lesions_hit) for _, found in outlined]
    return FindingMeasures(
        dice=resamples.mean([found.dice or 0.0 for _, found in outlined], clusters),
        lesion_sensitivity=resamples.ratio(hit, [float(len(found.lesion_scores)) for _, found in outlined], clusters),
        false_positives_per_normal=resamples.mean([float(found.reported) for _, found in normals], normal_clusters),
        ungated_false_positives_per_normal=resamples.mean(
            [float(found.count) for _, found in normals], normal_clusters
        ),
        normals_with_findings=resamples.mean([float(found.reported > 0) for _, found in normals], normal_clusters),
        froc=_thinned(rates.curve) if rates else None,
        sensitivity_at=tuple(_sensitivities(rates, resamples)) if rates else (),
    )


def _sensitivities(rates: Froc, resamples: Resamples) -> Iterator[tuple[float, Estimate]]:
    for rate in RATES:
        yield rate, resamples.estimate(rates.sensitivity_at(rate), rates.clusters)


def _thinned(curve: FrocCurve) -> FrocCurve:
    count = len(curve.sensitivity)
    places = np.unique(np.linspace(0, count - 1, min(count, _CURVE_POINTS)).round().astype(int))
    return FrocCurve(
        tuple(curve.false_positives_per_normal[place] for place in places),
        tuple(curve.sensitivity[place] for place in places),
    )
