"""An evaluation as tables of text, with the same rows for the report and the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glam_node.inference.findings import FindingKind
from glam_node.research.evaluation.evaluate_models import ClassMeasures, Evaluation, ModelEvaluation
from glam_node.research.evaluation.measure.bootstrap import Estimate
from glam_node.research.evaluation.measure.comparison import Comparison
from glam_node.research.evaluation.measure.localisation import FindingMeasures, OverlapMeasures
from glam_node.research.evaluation.measure.tuning import ClassTuning

NONE = "–"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text, row by row; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def estimate_text(estimate: Estimate | None, digits: int = 3) -> str:
    """Return the value with its 95 % interval as text."""
    if estimate is None or estimate.value is None:
        return NONE
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _p_value(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


_SCORES: tuple[tuple[str, Callable[[ClassMeasures], Estimate]], ...] = (
    ("ROC AUC, image", lambda each: each.image.roc_auc),
    ("ROC AUC, breast", lambda each: each.breast.roc_auc),
    ("ROC AUC, study", lambda each: each.study.roc_auc),
    ("PR AUC, image", lambda each: each.image.pr_auc),
    ("PR AUC, breast", lambda each: each.breast.pr_auc),
    ("PR AUC, study", lambda each: each.study.pr_auc),
    ("Sensitivity of images at the operating point", lambda each: each.sensitivity),
    ("Specificity of images at the operating point", lambda each: each.specificity),
)
_MAPS: tuple[tuple[str, Callable[[OverlapMeasures], str]], ...] = (
    ("Dice of the map, frozen threshold", lambda maps: estimate_text(maps.dice)),
    ("Threshold of the map", lambda maps: _number(maps.threshold, 4)),
    ("Dice of the map, oracle (per image)", lambda maps: estimate_text(maps.oracle_dice)),
    ("Soft Dice of the map", lambda maps: estimate_text(maps.soft_dice)),
    ("Pixel AP, pooled", lambda maps: estimate_text(maps.pooled_average_precision)),
    ("Pixel AP, mean of images", lambda maps: estimate_text(maps.mean_average_precision)),
    ("Pointing hits", lambda maps: estimate_text(maps.pointing_hit)),
    ("Misses (Dice under 0.1)", lambda maps: estimate_text(maps.miss_rate)),
)
_FINDINGS: tuple[tuple[str, Callable[[FindingMeasures], Estimate]], ...] = (
    ("Dice of the findings", lambda findings: findings.dice),
    ("Lesions found", lambda findings: findings.lesion_sensitivity),
    ("False positives per normal image", lambda findings: findings.false_positives_per_normal),
    ("The same if every score passed", lambda findings: findings.ungated_false_positives_per_normal),
    ("Normal images with a finding", lambda findings: findings.normals_with_findings),
)


def _described(measures: ClassMeasures) -> list[tuple[str, str]]:
    """Return every measure of one class with its name."""
    maps, findings = measures.maps, measures.findings
    before, after = measures.calibration, measures.platt_calibration
    return [
        *((label, estimate_text(of(measures))) for label, of in _SCORES),
        *((label, of(maps) if maps else NONE) for label, of in _MAPS),
        *((label, estimate_text(of(findings)) if findings else NONE) for label, of in _FINDINGS),
        ("Brier score", _number(before.brier if before else None)),
        ("Calibration error (ECE)", _number(before.expected_error if before else None)),
        ("ECE after Platt's scale", _number(after.expected_error if after else None)),
    ]


def measures_table(evaluation: Evaluation, place: int) -> TextTable:
    """Return the table of every measure of the class at `place`, with one column per model."""
    of_models = [model.classes[place] for model in evaluation.models]
    kind, image = of_models[0].kind, of_models[0].image
    described = [_described(measures) for measures in of_models]
    labels = [label for label, _ in described[0]]
    columns = zip(*([text for _, text in each] for each in described), strict=True)
    return TextTable(
        title=f"{kind}: {image.positives} images with, {image.negatives} without",
        columns=("", *(model.name for model in evaluation.models)),
        rows=tuple((label, *cells) for label, cells in zip(labels, columns, strict=True)),
    )


def area_table(evaluation: Evaluation, place: int) -> TextTable:
    """Return the table of Dice by lesion size."""
    rows: dict[str, list[str]] = {}
    for number, model in enumerate(evaluation.models):
        maps = model.classes[place].maps
        for name, tertile in zip(("small", "medium", "large"), maps.dice_by_area if maps else (), strict=False):
            label = f"{name}, up to {tertile.largest_px:,} px ({tertile.dice.count} images)"
            rows.setdefault(label, [NONE] * len(evaluation.models))[number] = estimate_text(tertile.dice)
    columns = ("Lesion area", *(model.name for model in evaluation.models))
    return TextTable("Dice by lesion area", columns, tuple((label, *cells) for label, cells in rows.items()))


def froc_table(evaluation: Evaluation, place: int) -> TextTable:
    """Return the table of lesion sensitivity at some rates of false positives."""
    rows: dict[str, list[str]] = {}
    for number, model in enumerate(evaluation.models):
        findings = model.classes[place].findings
        for rate, sensitivity in findings.sensitivity_at if findings else ():
            rows.setdefault(f"{rate:g}", [NONE] * len(evaluation.models))[number] = estimate_text(sensitivity)
    columns = ("False positives per normal image", *(model.name for model in evaluation.models))
    return TextTable("Lesions found (FROC)", columns, tuple((label, *cells) for label, cells in rows.items()))


def operating_point_table(evaluation: Evaluation) -> TextTable:
    """Return the table of frozen thresholds and their results on the validation images."""
    rows = [_point_row(model, each) for model in evaluation.models for each in model.tuning.classes]
    columns = (
        "Model, class",
        "score",
        "local saliency",
        "global saliency",
        "least area, px",
        "sensitivity, specificity in validation",
        "Dice in validation",
    )
    return TextTable("Operating points", columns, tuple(rows))


def _point_row(model: ModelEvaluation, each: ClassTuning) -> tuple[str, ...]:
    point, pair = each.point, each.evidence_thresholds
    numbers = (
        (
            f"{point.image_score_threshold:.4f}",
            f"{point.local_saliency_threshold:.4f}",
            f"{point.global_saliency_threshold:.4f}",
            str(point.minimum_area_px),
        )
        if point
        else (NONE,) * 4
    )
    reached = f"{each.score.sensitivity:.3f}, {each.score.specificity:.3f}" if each.score else NONE
    return f"{model.name}, {each.kind}", *numbers, reached, f"{pair.mean_dice:.3f}" if pair else NONE


def subgroup_table(evaluation: Evaluation, place: int) -> TextTable:
    """Return the table of the first model's measures of each group of images."""
    model = evaluation.models[0]
    rows = tuple(
        (
            f"{each.name} ({each.positives} images with, {each.negatives} without)",
            *(estimate_text(one) for one in (each.roc_auc, each.sensitivity, each.specificity, each.dice)),
        )
        for each in model.classes[place].subgroups
    )
    columns = (f"Images of {model.name}", "ROC AUC", "Sensitivity", "Specificity", "Dice of the map")
    return TextTable("Subgroups", columns, rows)


def comparison_table(comparisons: Sequence[Comparison]) -> TextTable:
    """Return the table that compares the first model with the others."""
    rows = tuple(
        (
            f"{each.first} against {each.other}, {each.kind}",
            estimate_text(each.dice_difference),
            estimate_text(each.dice_ratio, 2),
            _p_value(each.dice_p_value),
            estimate_text(each.roc_auc_difference),
            _p_value(each.roc_auc_p_value),
        )
        for each in comparisons
    )
    columns = (
        "Same images, same resamples",
        "Dice, difference",
        "Dice, ratio",
        "p (permutation)",
        "ROC AUC of images, difference",
        "p (DeLong)",
    )
    return TextTable("Comparison", columns, rows)


def kinds_of(evaluation: Evaluation) -> tuple[FindingKind, ...]:
    """Return the classes in the order of their places."""
    return tuple(each.kind for each in evaluation.models[0].classes)
