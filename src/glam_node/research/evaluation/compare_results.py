"""Comparison of evaluations from their stored predictions, without images or models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.evaluation.measure.bootstrap import RESAMPLES, Resamples
from glam_node.research.evaluation.measure.comparison import Comparison, Named, Prediction, compare
from glam_node.research.evaluation.report.definitions import RESEARCH_USE
from glam_node.research.evaluation.report.files import METRICS, PREDICTIONS, read_predictions
from glam_node.research.evaluation.report.tables import TextTable, comparison_table

Predictions = Mapping[FindingKind, Sequence[Prediction]]


@dataclass(frozen=True, slots=True)
class ComparedResults:
    """The comparison of stored evaluations."""

    tables: tuple[TextTable, ...]
    file: Path
    remarks: tuple[str, ...]
    """What the comparison leaves out."""


def is_evaluation(directory: Path) -> bool:
    """Return whether `glam-node research evaluate` wrote its results to the directory."""
    return (directory / METRICS).is_file() and (directory / PREDICTIONS).is_file()


def compare_results(
    directories: Sequence[Path], out: Path, resamples: int = RESAMPLES, seed: int = 1
) -> ComparedResults:
    """Compare the first evaluation with each of the others, and write comparison.json to `out`.

    Of each directory the first model is compared. The same directories, resamples and seed give the same file.

    Raises:
        DatasetError: A file cannot be read, the evaluations have no image in common, or their labels of an image
            differ.
        OSError: `out` cannot be written.
    """
    read = [read_predictions(directory / PREDICTIONS) for directory in directories]
    names = _distinct([_model_name(directory / METRICS) for directory in directories])
    remarks = tuple(
        remark
        for name, other in zip(names[1:], read[1:], strict=True)
        for remark in _checked(names[0], read[0], name, other)
    )
    images = [each for predictions in read for each in predictions[CHANNELS[0]]]
    drawn = Resamples([each.cluster for each in images], resamples, seed)
    comparisons = tuple(
        compare(kind, _named(names[0], read[0], kind), _named(name, other, kind), drawn)
        for name, other in zip(names[1:], read[1:], strict=True)
        for kind in CHANNELS
    )
    out.mkdir(parents=True, exist_ok=True)
    file = out / "comparison.json"
    file.write_text(json.dumps(_document(comparisons, resamples, seed), indent=2, allow_nan=False), encoding="utf-8")
    return ComparedResults((comparison_table(comparisons),), file, remarks)


def _named(name: str, predictions: Predictions, kind: FindingKind) -> Named:
    return name, predictions[kind]


def _model_name(metrics: Path) -> str:
    try:
        return str(json.loads(metrics.read_text(encoding="utf-8"))["models"][0]["name"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{metrics} cannot be read. Run glam-node research evaluate again.") from error


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, with a number behind each that stands before."""
    return [
        name if name not in names[:place] else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _checked(first_name: str, first: Predictions, name: str, other: Predictions) -> list[str]:
    """Return what the comparison of two evaluations leaves out.

    Raises:
        DatasetError: They have no image in common, or their labels of an image differ.
    """
    for kind in CHANNELS:
        labels = {each.identifier: each.label for each in first[kind]}
        common = [each for each in other[kind] if each.identifier in labels]
        if not common:
            raise DatasetError(f"{first_name} and {name} were measured on different images. Name the same data set.")
        differing = [each for each in common if labels[each.identifier] != each.label]
        if differing:
            raise DatasetError(
                f"{first_name} and {name} have different {kind} labels of {len(differing)} images. "
                "Evaluate both on the same data set with the same options."
            )
    alone = len({each.identifier for each in first[CHANNELS[0]]} ^ {each.identifier for each in other[CHANNELS[0]]})
    return [f"{alone} images that only one of {first_name} and {name} has are left out."] if alone else []


def _document(comparisons: Sequence[Comparison], resamples: int, seed: int) -> dict[str, object]:
    return {
        "statement": RESEARCH_USE,
        "resamples": resamples,
        "seed": seed,
        "comparisons": [asdict(each) for each in comparisons],
    }
