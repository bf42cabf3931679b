"""Evaluation of a package on a named data set with a report, for `glam-node research evaluate`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean

from glam_node import __version__
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import CHANNELS
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage, read_package, write_package
from glam_node.research.datasets.labelled import LabelledDataset
from glam_node.research.datasets.open import open_dataset
from glam_node.research.evaluation.evaluate_models import Evaluation, ModelEvaluation, evaluate
from glam_node.research.evaluation.measure.analyse_views import silent
from glam_node.research.evaluation.measure.bootstrap import RESAMPLES
from glam_node.research.evaluation.measure.tuning import Wanted
from glam_node.research.evaluation.report.files import (
    METRICS,
    PREDICTIONS,
    site_settings,
    write_breast_predictions,
    write_image_predictions,
    write_metrics,
    write_predictions,
)
from glam_node.research.evaluation.report.gallery import EACH, draw_gallery
from glam_node.research.evaluation.report.html_report import Heading, render_report
from glam_node.research.evaluation.report.model_card import render_model_card
from glam_node.research.evaluation.report.tables import (
    TextTable,
    comparison_table,
    kinds_of,
    measures_table,
    operating_point_table,
)
from glam_node.research.models.saliency_model import Opinion, SaliencyModel

DatasetName = tuple[str, str]
"""Kind and path of a data set, the arguments of `open_dataset`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an evaluation run."""

    tables: tuple[TextTable, ...]
    files: tuple[Path, ...]
    failures: tuple[str, ...]
    """Views that could not be measured, each with model and reason."""
    remarks: tuple[str, ...]
    """Values that could not be chosen, with the reasons."""
    written_points: tuple[str, ...]
    """Classes whose operating points were written to the package."""
    written_reference: tuple[str, ...]
    """Classes whose mean score was written to the package."""


def run_evaluation(
    package: Path,
    data: DatasetName,
    out: Path,
    now: datetime,
    *,
    validation: DatasetName | None = None,
    options: Mapping[str, object] | None = None,
    compare: Sequence[Path] = (),
    sensitivity: float = 0.95,
    specificity: float | None = None,
    false_positives_per_normal: float = 0.2,
    keep_operating_points: bool = False,
    write_operating_points: bool = False,
    write_reference: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 1,
    device: str = "auto",
    gallery: int = EACH,
    progress: Callable[[str, int, int], None] = silent,
) -> Outcome:
    """Evaluate the package in directory `package` on `data`, and write report, metrics and predictions to `out`.

    `options` go to the loaders of `data` and `validation`. Mean scores are written together with operating points.

    Raises:
        PackageMismatch: A package is damaged, or its architecture cannot be evaluated.
        DatasetError: A data set cannot be used.
        DeviceUnavailable: The machine lacks the device.
        OSError: A file cannot be read or written.
    """
    packages = [read_package(path) for path in (package, *compare)]
    dataset = _open(data, options)
    chosen_on = _open(validation, options) if validation else None
    models = load_models(packages, device)
    evaluation = evaluate(
        dataset,
        models,
        validation=chosen_on,
        wanted=Wanted(sensitivity, specificity, false_positives_per_normal),
        kept_points={models[0].name: packages[0].operating_points} if keep_operating_points else None,
        resamples=resamples,
        seed=seed,
        progress=progress,
    )
    files = _write(out, packages, evaluation, now, (dataset, models), gallery, progress)
    first = evaluation.models[0]
    points = _write_points(packages[0], first) if write_operating_points else ()
    means = _write_reference(package, first) if points or write_reference else ()
    return Outcome(_tables(evaluation), files, _failures(evaluation), _remarks(evaluation), points, means)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A model under another name."""

    model: SaliencyModel
    name: str

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return the model's result."""
        return self.model.look(mammogram)


def load_models(packages: Sequence[ModelPackage], device: str) -> list[SaliencyModel]:
    """Load one model per package on `device`; models of the same name are numbered.

    Raises:
        PackageMismatch: The architecture of a package cannot be evaluated.
        DeviceUnavailable: The machine lacks the device.
    """
    models: list[SaliencyModel] = []
    for package in packages:
        model = _load_model(package, device)
        namesakes = sum(other.name == model.name or other.name.startswith(f"{model.name} (") for other in models)
        models.append(Renamed(model, f"{model.name} ({namesakes + 1})") if namesakes else model)
    return models


def _load_model(package: ModelPackage, device: str) -> SaliencyModel:
    # Imported here, so that torch is imported only with a model that needs it.
    match package.architecture:
        case "glam":
            from glam_node.research.models.glam_model import GlamModel

            return GlamModel.from_package(package, device)
        case "threshold":
            from glam_node.research.models.threshold_model import ThresholdModel

            return ThresholdModel.from_package(package, device)
        case "cam":
            from glam_node.research.models.baselines import CamModel

            return CamModel.from_package(package, device)
        case "gmic":
            from glam_node.research.models.baselines import GmicModel

            return GmicModel.from_package(package, device)
    raise PackageMismatch(
        f"{package.path} is a {package.architecture} package; glam, threshold, cam and gmic can be evaluated."
    )


def _open(name: DatasetName, options: Mapping[str, object] | None) -> LabelledDataset:
    kind, path = name
    return open_dataset(kind, path, **dict(options or {}))


def _heading(packages: Sequence[ModelPackage], now: datetime) -> Heading:
    first = packages[0]
    described = [f"{each.algorithm_name} {each.algorithm_version} ({each.architecture})" for each in packages]
    digests = [f"{name}, weights SHA-256 {each.weights_sha256}" for name, each in zip(described, packages, strict=True)]
    others = (("Compared with", digest) for digest in digests[1:])
    card = (("Training data", first.card.training_data), ("Intended use", first.card.intended_use))
    stated = ((name, text) for name, text in card if text)
    facts = (("Package", digests[0]), *stated, *others, ("Made", f"{now:%Y-%m-%d %H:%M %Z} by glam-node {__version__}"))
    return Heading(f"Evaluation of {first.algorithm_name} {first.algorithm_version}", first.trained, tuple(facts))


def _write(
    out: Path,
    packages: Sequence[ModelPackage],
    evaluation: Evaluation,
    now: datetime,
    source: tuple[LabelledDataset, Sequence[SaliencyModel]],
    gallery: int,
    progress: Callable[[str, int, int], None],
) -> tuple[Path, ...]:
    out.mkdir(parents=True, exist_ok=True)
    report, metrics, site, card = (out / name for name in ("report.html", METRICS, "site.toml", "model_card.md"))
    heading = _heading(packages, now)
    site.write_text(site_settings(evaluation.models[0].tuning), encoding="utf-8")
    write_metrics(metrics, evaluation, heading)
    card.write_text(render_model_card(packages[0], evaluation, heading), encoding="utf-8")
    predictions = [path for number, model in enumerate(evaluation.models) for path in _predictions(out, number, model)]
    exhibits = draw_gallery(*source, evaluation, progress, gallery) if gallery else []
    report.write_text(render_report(evaluation, heading, exhibits), encoding="utf-8")
    return report, metrics, site, *predictions, card


def _predictions(out: Path, number: int, model: ModelEvaluation) -> tuple[Path, Path, Path]:
    """Write the predictions of a model; the file names of every model but the first include its number."""
    suffix = f"-{number + 1}" if number else ""
    images, breasts, all_predictions = (
        out / f"{name}{suffix}.csv" for name in ("images", "breasts", PREDICTIONS.removesuffix(".csv"))
    )
    views = [row.view for row in model.rows]
    scores = {row.view.image_id: (row.scores[0], row.scores[1]) for row in model.rows}
    write_image_predictions(images, views, scores)
    write_breast_predictions(breasts, views, scores)
    write_predictions(all_predictions, model)
    return images, breasts, all_predictions


def _write_points(package: ModelPackage, model: ModelEvaluation) -> tuple[str, ...]:
    """Write the chosen operating points and calibrations to the package; the others stay as they are."""
    chosen = {each.kind: each.point for each in model.tuning.classes if each.point is not None}
    fitted = {each.kind: each.platt for each in model.tuning.classes if each.platt}
    if chosen:
        points, calibration = package.operating_points | chosen, package.calibration | fitted
        write_package(replace(package, operating_points=points, calibration=calibration))
        read_package(package.path)
    return tuple(str(kind) for kind in chosen)


def _write_reference(path: Path, model: ModelEvaluation) -> tuple[str, ...]:
    """Write the mean scores of the test views to the package."""
    if not model.rows:
        return ()
    reference = {kind: fmean(row.scores[place] for row in model.rows) for place, kind in enumerate(CHANNELS)}
    write_package(replace(read_package(path), reference=reference))
    read_package(path)
    return tuple(map(str, reference))


def _tables(evaluation: Evaluation) -> tuple[TextTable, ...]:
    compared = (comparison_table(evaluation.comparisons),) if evaluation.comparisons else ()
    measures = (measures_table(evaluation, place) for place in range(len(kinds_of(evaluation))))
    return *measures, *compared, operating_point_table(evaluation)


def _failures(evaluation: Evaluation) -> tuple[str, ...]:
    return tuple(
        f"{model.name}: {failure.image_id}: {failure.reason}"
        for model in evaluation.models
        for failure in (*model.tuning.failures, *model.failures)
    )


def _remarks(evaluation: Evaluation) -> tuple[str, ...]:
    return tuple(dict.fromkeys(remark for each in evaluation.models[0].tuning.classes for remark in each.remarks))
