"""Files of an evaluation for other programs: metrics.json, predictions in the NYU protocol's CSV, and site settings.

metrics.json has every number of the report and every threshold in full precision.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.datasets.tables import Row, read_table
from glam_node.research.evaluation.evaluate_models import Evaluation, ModelEvaluation
from glam_node.research.evaluation.measure.comparison import Prediction, predictions
from glam_node.research.evaluation.measure.tuning import ClassTuning, Tuning
from glam_node.research.evaluation.report.definitions import DEFINITIONS, RESEARCH_USE
from glam_node.research.evaluation.report.html_report import Heading

METRICS, PREDICTIONS = "metrics.json", "predictions.csv"

IMAGE_COLUMNS = ("image_index", "benign_pred", "malignant_pred", "benign_label", "malignant_label")
BREAST_COLUMNS = ("index", "left_malignant", "right_malignant")

Scores = Mapping[str, tuple[float, float]]
"""Benign and malignant score of each image, by image_id."""


def write_image_predictions(path: Path, views: Sequence[LabelledView], scores: Scores) -> None:
    """Write one row per view that has scores: its id, the scores, and the labels of its breast."""
    _write(
        path,
        IMAGE_COLUMNS,
        ((view.image_id, *scores[view.image_id], *map(int, view.labels)) for view in views if view.image_id in scores),
    )


def write_breast_predictions(path: Path, views: Sequence[LabelledView], scores: Scores) -> None:
    """Write one row per study: the mean malignant score of each breast's views, empty for a breast without scores."""
    malignant: dict[str, dict[Laterality, list[float]]] = {}
    for view in views:
        if view.image_id in scores:
            of_study = malignant.setdefault(view.study_id, {side: [] for side in Laterality})
            of_study[view.image_laterality].append(scores[view.image_id][1])
    _write(
        path,
        BREAST_COLUMNS,
        (
            (study_id, _mean(of_study[Laterality.LEFT]), _mean(of_study[Laterality.RIGHT]))
            for study_id, of_study in sorted(malignant.items(), key=lambda item: (len(item[0]), item[0]))
        ),
    )


PREDICTION_COLUMNS = (
    "image_id",
    "patient",
    *(f"{kind}_{what}" for kind in CHANNELS for what in ("label", "score", "dice")),
)


def write_predictions(path: Path, model: ModelEvaluation) -> None:
    """Write one row per measured view: id, patient or study, and label, score and Dice of each class.

    Numbers are in full precision, so that comparisons of the file equal those of the evaluation.
    """
    of_classes = [predictions(model.rows, kind) for kind in CHANNELS]
    _write(
        path,
        PREDICTION_COLUMNS,
        (
            (
                each[0].identifier,
                each[0].cluster,
                *(cell for one in each for cell in (int(one.label), one.score, "" if one.dice is None else one.dice)),
            )
            for each in zip(*of_classes, strict=True)
        ),
    )


def read_predictions(path: Path) -> dict[FindingKind, list[Prediction]]:
    """Read the file that `write_predictions` wrote.

    Raises:
        DatasetError: The file cannot be read, or is not such a file.
    """
    table = read_table(path, PREDICTION_COLUMNS, "Name a directory that glam-node research evaluate wrote.")
    try:
        return {kind: [_prediction(row, kind) for row in table.rows] for kind in CHANNELS}
    except ValueError as error:
        raise DatasetError(f"{path} has a value that is not a number: {error}.") from error


def _prediction(row: Row, kind: FindingKind) -> Prediction:
    label, score, dice = (row.get(f"{kind}_{what}") for what in ("label", "score", "dice"))
    return Prediction(
        row.get("image_id"), row.get("patient"), float(score), bool(int(label)), float(dice) if dice else None
    )


def _mean(scores: Sequence[float]) -> float | str:
    return fmean(scores) if scores else ""


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


_HEAD = """\
# Chosen by glam-node research evaluate on {views} validation images. Copy the values to use into the node's settings:
# they replace those of the package, and results say that the site calibrated. They are right for similar patients.
"""


def site_settings(tuning: Tuning) -> str:
    """Return the operating point and the calibration of each class, if it has them, as TOML."""
    head = _HEAD.format(views=tuning.view_count)
    return head + "".join(line for each in tuning.classes for line in _of_class(each))


def _of_class(each: ClassTuning) -> Iterator[str]:
    if each.point is not None:
        yield _table(f"inference.operating_points.{each.kind}", asdict(each.point))
    if each.platt is not None and each.platt.slope >= 0:
        yield _table(f"inference.calibration.{each.kind}", asdict(each.platt))
    elif each.platt is not None:
        yield f"\n# No scale for {each.kind}: scores fell as labels rose.\n"


def _table(name: str, values: dict[str, float]) -> str:
    lines = (f"{key} = {value!r}\n" for key, value in values.items())
    return f"\n[{name}]\n{''.join(lines)}"


FORMAT_VERSION = 1


def write_metrics(path: Path, evaluation: Evaluation, heading: Heading) -> None:
    """Write metrics.json to `path`; numbers that could not be estimated are null."""
    path.write_text(json.dumps(metrics_document(evaluation, heading), indent=2, allow_nan=False), encoding="utf-8")


def metrics_document(evaluation: Evaluation, heading: Heading) -> dict[str, Any]:
    """Return the content of metrics.json as plain dictionaries, lists, numbers and strings."""
    plain = ("dataset", "validation", "rule", "view_count", "study_count", "patient_count", "resamples", "seed")
    return {
        "format_version": FORMAT_VERSION,
        "statement": RESEARCH_USE,
        "trained": heading.trained,
        "facts": dict(heading.facts),
        **{name: getattr(evaluation, name) for name in plain},
        "wanted": asdict(evaluation.wanted),
        "models": [_model(model) for model in evaluation.models],
        "comparisons": [asdict(each) for each in evaluation.comparisons],
        "definitions": dict(DEFINITIONS),
    }


def _model(model: ModelEvaluation) -> dict[str, Any]:
    return {
        "name": model.name,
        "classes": {str(each.kind): asdict(each) for each in model.classes},
        "frozen": {str(each.kind): asdict(each) for each in model.tuning.classes},
        "validation_views": model.tuning.view_count,
        "validation_failures": [asdict(failure) for failure in model.tuning.failures],
        "failures": [asdict(failure) for failure in model.failures],
    }
