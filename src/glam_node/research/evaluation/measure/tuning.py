"""Tuning on validation images: thresholds of maps and scores, the minimum area, and the calibration of scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.inference.package import OperatingPoint
from glam_node.inference.platt import PlattScale
from glam_node.research.datasets.labelled import LabelledDataset, LabelledView, Masks
from glam_node.research.evaluation.measure.analyse_views import Failure, look_at
from glam_node.research.evaluation.measure.calibration import IsotonicScale, fit_isotonic, fit_platt
from glam_node.research.evaluation.measure.overlap import ThresholdTrial, trial_of
from glam_node.research.evaluation.measure.regions import MOST_SCORES, Regions, SaliencyThresholds, find_regions
from glam_node.research.evaluation.measure.thresholds import (
    ChosenPair,
    ChosenThreshold,
    ScoreThreshold,
    choose_pair,
    choose_threshold,
    minimum_area,
    score_threshold,
)
from glam_node.research.models.saliency_model import Opinion, SaliencyModel

Points = Mapping[FindingKind, OperatingPoint]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Targets of operating points on validation images."""

    sensitivity: float = 0.95
    """Sensitivity on images, per class; not used if a specificity is wanted."""
    specificity: float | None = None
    false_positives_per_normal: float = 0.2
    """Findings per normal image and class, as the node would report them."""


@dataclass(frozen=True, slots=True)
class ClassTuning:
    """Values frozen for one class; None for those that could not be chosen, with the reason in `remarks`."""

    kind: FindingKind
    map_threshold: ChosenThreshold | None
    """Threshold for the Dice of the saliency map."""
    evidence_thresholds: ChosenPair | None
    score: ScoreThreshold | None
    point: OperatingPoint | None
    """The operating point, chosen here or, on request, the package's own."""
    platt: PlattScale | None
    isotonic: IsotonicScale | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tuning:
    """Values frozen for one model."""

    classes: tuple[ClassTuning, ...]
    """The classes in the order of the channels."""
    view_count: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Trials:
    """The trials of one class of an image with a lesion of that class."""

    whole: ThresholdTrial
    closely: ThresholdTrial
    elsewhere: ThresholdTrial


@dataclass(slots=True)
class _Row:
    """One validation view; it takes a few kilobytes with a lesion and a few bytes without."""

    view: LabelledView
    scores: tuple[float, float]
    trials: dict[FindingKind, _Trials] = field(default_factory=dict)
    two_sources: bool = False


def normal_views(views: Sequence[LabelledView], kind: FindingKind) -> list[LabelledView]:
    """Return the views without any lesion; if there are none, the views without a lesion of this class."""
    place = CHANNELS.index(kind)
    return [view for view in views if not any(view.labels)] or [view for view in views if not view.labels[place]]


def tune(
    dataset: LabelledDataset,
    views: Sequence[LabelledView],
    model: SaliencyModel,
    wanted: Wanted,
    kept_points: Points | None,
    progress: Callable[[str, int, int], None],
) -> Tuning:
    """Choose all thresholds on `views`; `kept_points` replace the operating points chosen here.

    Views are analysed once, and normal ones a second time once the thresholds of their regions are known.
    """
    looked = look_at(dataset, views, model, _measure, lambda *at: progress(f"{model.name}: choosing thresholds", *at))
    chosen = [_choose(place, kind, looked.rows, wanted) for place, kind in enumerate(CHANNELS)]
    if kept_points is not None:
        classes = [replace(each, point=kept_points.get(each.kind)) for each in chosen]
        return Tuning(tuple(classes), len(views), tuple(looked.failures))
    areas = _areas_on_normals(dataset, [row.view for row in looked.rows], model, chosen, progress)
    classes = [replace(each, point=_point(each, areas[each.kind], wanted)) for each in chosen]
    return Tuning(tuple(classes), len(views), tuple(looked.failures))


def _measure(view: LabelledView, opinion: Opinion, masks: Masks | None) -> _Row:
    row = _Row(view, opinion.scores, two_sources=opinion.evidence is not None)
    for channel, kind in enumerate(CHANNELS):
        lesion = masks[kind] if masks else None
        if lesion is None or not lesion.any():
            continue
        lesion_px = int(lesion.sum())
        whole = trial_of(opinion.saliency[channel], lesion, lesion_px)
        if opinion.evidence is None:
            row.trials[kind] = _Trials(whole, whole, whole)
            continue
        values, closely = opinion.evidence.saliency[channel], opinion.evidence.closely
        near, far = (trial_of(values[part], lesion[part], lesion_px) for part in (closely, ~closely))
        row.trials[kind] = _Trials(whole, near, far)
    return row


def _choose(place: int, kind: FindingKind, rows: Sequence[_Row], wanted: Wanted) -> ClassTuning:
    """Choose everything but the minimum area, for which views are analysed a second time."""
    trials = [row.trials[kind] for row in rows if kind in row.trials]
    map_threshold = choose_threshold([each.whole for each in trials])
    if any(row.two_sources for row in rows):
        pair = choose_pair([each.closely for each in trials], [each.elsewhere for each in trials])
    else:
        pair = _same_for_both(map_threshold)
    scores, labels = [row.scores[place] for row in rows], [row.view.labels[place] for row in rows]
    score = score_threshold(scores, labels, sensitivity=wanted.sensitivity, specificity=wanted.specificity)
    return ClassTuning(
        kind=kind,
        map_threshold=map_threshold,
        evidence_thresholds=pair,
        score=score,
        point=None,
        platt=fit_platt(scores, labels) if score else None,
        isotonic=fit_isotonic(scores, labels) if score else None,
        remarks=tuple(_remarks(kind, map_threshold, score)),
    )


def _same_for_both(chosen: ChosenThreshold | None) -> ChosenPair | None:
    return None if chosen is None else ChosenPair(chosen.threshold, chosen.threshold, chosen.mean_dice)


def _remarks(kind: FindingKind, threshold: ChosenThreshold | None, score: ScoreThreshold | None) -> list[str]:
    remarks = []
    if threshold is None:
        remarks.append(f"No validation image has an outlined {kind} lesion: no threshold for saliency could be chosen.")
    if score is None:
        remarks.append(f"Validation images with and without a {kind} lesion are needed to choose a score threshold.")
    return remarks


def _areas_on_normals(
    dataset: LabelledDataset,
    views: Sequence[LabelledView],
    model: SaliencyModel,
    chosen: Sequence[ClassTuning],
    progress: Callable[[str, int, int], None],
) -> dict[FindingKind, list[list[int]]]:
    """Return, per class, the areas of the regions on each normal image whose score passes."""
    normal_of = {each.kind: {view.image_id for view in normal_views(views, each.kind)} for each in chosen}
    areas: dict[FindingKind, list[list[int]]] = {kind: [] for kind in CHANNELS}

    def measure(view: LabelledView, opinion: Opinion, masks: Masks | None) -> None:  # noqa: ARG001 - a normal image
        for channel, each in enumerate(chosen):
            if view.image_id not in normal_of[each.kind] or each.score is None or each.evidence_thresholds is None:
                continue
            pair = SaliencyThresholds(each.evidence_thresholds.closely, each.evidence_thresholds.elsewhere)
            passes = opinion.scores[channel] >= each.score.threshold
            areas[each.kind].append(_largest(find_regions(opinion, channel, pair, None)) if passes else [])

    wanted = [view for view in views if any(view.image_id in normal for normal in normal_of.values())]
    look_at(dataset, wanted, model, measure, lambda *at: progress(f"{model.name}: choosing areas", *at))
    return areas


def _largest(regions: Regions) -> list[int]:
    """Return the MOST_SCORES largest areas; smaller ones cannot change the choice."""
    return [int(area) for area in np.sort(regions.areas)[-MOST_SCORES:]]


def _point(each: ClassTuning, areas: list[list[int]], wanted: Wanted) -> OperatingPoint | None:
    if each.score is None or each.evidence_thresholds is None:
        return None
    return OperatingPoint(
        image_score_threshold=each.score.threshold,
        local_saliency_threshold=each.evidence_thresholds.closely,
        global_saliency_threshold=each.evidence_thresholds.elsewhere,
        minimum_area_px=minimum_area(areas, wanted.false_positives_per_normal) if areas else 1,
    )
