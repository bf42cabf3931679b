"""An evaluation as a JSON document, with every number of the report and every threshold in full precision."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glam_node.inference.evaluation.definitions import DEFINITIONS, RESEARCH_USE
from glam_node.inference.evaluation.evaluation import Evaluation, ModelEvaluation
from glam_node.inference.evaluation.report import Heading

FORMAT_VERSION = 1


def write_metrics(path: Path, evaluation: Evaluation, heading: Heading) -> None:
    """Write the document to `path`; numbers that could not be estimated are null."""
    path.write_text(json.dumps(metrics_document(evaluation, heading), indent=2, allow_nan=False), encoding="utf-8")


def metrics_document(evaluation: Evaluation, heading: Heading) -> dict[str, Any]:
    """Return the document as plain dictionaries, lists, numbers and strings."""
    plain = ("dataset", "validation", "rule", "view_count", "study_count", "woman_count", "resamples", "seed")
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
