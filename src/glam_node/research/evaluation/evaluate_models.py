"""Evaluation of one or more models on a data set, with thresholds frozen on validation views."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.research.datasets.labelled import LabelledDataset
from glam_node.research.evaluation.measure.analyse_views import Failure, look_at, silent
from glam_node.research.evaluation.measure.bootstrap import RESAMPLES, Estimate, Resamples
from glam_node.research.evaluation.measure.calibration import Calibration, calibration
from glam_node.research.evaluation.measure.classification import (
    Classification,
    breast_rows,
    classify,
    image_rows,
    share_right,
    study_rows,
)
from glam_node.research.evaluation.measure.comparison import Comparison, compare, predictions
from glam_node.research.evaluation.measure.image_measures import ImageRow, Measurer
from glam_node.research.evaluation.measure.localisation import (
    FindingMeasures,
    OverlapMeasures,
    measure_findings,
    measure_maps,
)
from glam_node.research.evaluation.measure.parts import Parts, cluster_of, divide
from glam_node.research.evaluation.measure.subgroups import Subgroup, measure_subgroups
from glam_node.research.evaluation.measure.tuning import ClassTuning, Points, Tuning, Wanted, tune
from glam_node.research.models.saliency_model import SaliencyModel


@dataclass(frozen=True, slots=True)
class ClassMeasures:
    """All measures of one class of one model on the test views."""

    kind: FindingKind
    image: Classification
    breast: Classification
    study: Classification
    sensitivity: Estimate
    """Sensitivity on images at the operating point's score threshold."""
    specificity: Estimate
    maps: OverlapMeasures | None
    findings: FindingMeasures | None
    calibration: Calibration | None
    platt_calibration: Calibration | None
    """Calibration of the same scores after the scale that was fitted on validation images."""
    subgroups: tuple[Subgroup, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvaluation:
    """Evaluation of one model."""

    name: str
    tuning: Tuning
    classes: tuple[ClassMeasures, ...]
    """The classes in the order of the channels."""
    rows: tuple[ImageRow, ...]
    failures: tuple[Failure, ...]
    """Test views that could not be measured; no number includes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Evaluation of several models on the same views; their intervals come from the same resamples."""

    dataset: str
    validation: str
    rule: str
    """The rule that divided validation and test views, in words."""
    view_count: int
    study_count: int
    patient_count: int
    wanted: Wanted
    resamples: int
    seed: int
    models: tuple[ModelEvaluation, ...]
    comparisons: tuple[Comparison, ...]
    """Comparisons of the first model with each of the others."""


def evaluate(
    dataset: LabelledDataset,
    models: Sequence[SaliencyModel],
    *,
    validation: LabelledDataset | None = None,
    wanted: Wanted | None = None,
    kept_points: Mapping[str, Points] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 1,
    progress: Callable[[str, int, int], None] = silent,
) -> Evaluation:
    """Freeze thresholds on validation views, then measure every model on the test views, one view in memory at a time.

    Args:
        dataset: The data set with the test views.
        models: At least one model, with distinct names.
        validation: The data set with the validation views, if not `dataset`.
        wanted: Targets for the choice of operating points.
        kept_points: Operating points, by model name, to measure findings at instead of choosing points here.
        resamples: Number of resamples for intervals.
        seed: Seed of the resamples.
        progress: Called with the current task, the number of views done and their total.

    Raises:
        DatasetError: There are no views to choose thresholds on or to measure.
        ValueError: There is no model, or two have the same name.
    """
    if not models or len({model.name for model in models}) < len(models):
        raise ValueError("evaluate needs at least one model, and distinct names.")
    parts = divide(dataset, validation)
    asked = wanted or Wanted()
    clusters = [cluster_of(view) for view in parts.test_views]
    drawn = Resamples(clusters, resamples, seed)
    kept = kept_points or {}
    measured = tuple(_evaluate_model(parts, model, asked, kept.get(model.name), drawn, progress) for model in models)
    return Evaluation(
        dataset=parts.test.name,
        validation=parts.validation.name,
        rule=parts.rule,
        view_count=len(parts.test_views),
        study_count=len({view.study_id for view in parts.test_views}),
        patient_count=len(set(clusters)),
        wanted=asked,
        resamples=resamples,
        seed=seed,
        models=measured,
        comparisons=tuple(
            compare(
                kind,
                (measured[0].name, predictions(measured[0].rows, kind)),
                (other.name, predictions(other.rows, kind)),
                drawn,
            )
            for other in measured[1:]
            for kind in CHANNELS
        ),
    )


def _evaluate_model(
    parts: Parts,
    model: SaliencyModel,
    wanted: Wanted,
    kept_points: Points | None,
    drawn: Resamples,
    progress: Callable[[str, int, int], None],
) -> ModelEvaluation:
    tuning = tune(parts.validation, parts.validation_views, model, wanted, kept_points, progress)
    measurer = Measurer(tuning.classes)
    looked = look_at(
        parts.test, parts.test_views, model, measurer, lambda *at: progress(f"{model.name}: measuring", *at)
    )
    classes = tuple(_measures(looked.rows, each, measurer, drawn) for each in tuning.classes)
    return ModelEvaluation(model.name, tuning, classes, tuple(looked.rows), tuple(looked.failures))


def _measures(rows: Sequence[ImageRow], tuning: ClassTuning, measurer: Measurer, drawn: Resamples) -> ClassMeasures:
    kind = tuning.kind
    images = image_rows(rows, kind)
    scores, labels = [row.score for row in images], [row.label for row in images]
    threshold = tuning.point.image_score_threshold if tuning.point else None
    scaled = tuning.platt.apply(np.asarray(scores)) if tuning.platt and scores else None
    pooled = measurer.pooled.get(kind)
    frozen = tuning.map_threshold.threshold if tuning.map_threshold else None

    return ClassMeasures(
        kind=kind,
        image=classify(images, drawn),
        breast=classify(breast_rows(rows, kind), drawn),
        study=classify(study_rows(rows, kind), drawn),
        sensitivity=share_right(images, True, threshold, drawn),
        specificity=share_right(images, False, threshold, drawn),
        maps=measure_maps(rows, kind, pooled, frozen, drawn),
        findings=measure_findings(rows, kind, drawn),
        calibration=calibration(scores, labels) if scores else None,
        platt_calibration=calibration(scaled, labels) if scaled is not None else None,
        subgroups=measure_subgroups(rows, kind, threshold, drawn),
    )
