"""Tests of an evaluation from a package and the name of a data set to the written files."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.package import ModelPackage, read_package, write_package
from glam_node.inference.threshold import threshold_package
from glam_node.research.evaluation.evaluate_package import Outcome, load_models, run_evaluation
from glam_node.settings.load import load_settings

PREDICTIONS = ("images.csv", "breasts.csv", "predictions.csv", "images-2.csv", "breasts-2.csv", "predictions-2.csv")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SMALL = {"rows": 104, "columns": 80}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Return a package that scores brightness; tests change its operating points."""
    return threshold_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def outcome(package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return the outcome of an evaluation on phantoms, compared with itself."""
    return run_evaluation(
        package.path,
        ("phantoms", "0:8"),
        tmp_path_factory.mktemp("out"),
        NOW,
        options=SMALL,
        compare=[package.path],
        write_operating_points=True,
        resamples=20,
        gallery=1,
    )


def test_report_metrics_and_predictions_of_every_model_are_written(outcome: Outcome) -> None:
    names = [path.name for path in outcome.files if path.stat().st_size]
    assert names == ["report.html", "metrics.json", "site.toml", *PREDICTIONS, "model_card.md"]


def test_the_model_card_has_the_recognised_sections_and_every_measure(outcome: Outcome) -> None:
    text = outcome.files[-1].read_text(encoding="utf-8")
    front, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert all(json.loads(line.partition(": ")[2]) for line in front.splitlines())
    assert [line.removeprefix("## ") for line in body.splitlines() if line.startswith("## ")] == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]
    cells = {tuple(line.strip("| ").split(" | ")) for line in body.splitlines() if line.startswith("| ")}
    assert {row for table in outcome.tables for row in table.rows} <= cells
    assert {row[0].split(" (")[0] for row in cells} >= {"View CC", "View MLO"}
    assert "Research use only" in body


def test_predictions_are_in_the_columns_of_the_nyu_protocol(outcome: Outcome) -> None:
    with outcome.files[3].open(encoding="utf-8") as images, outcome.files[4].open(encoding="utf-8") as breasts:
        assert next(csv.reader(images)) == [
            "image_index",
            "benign_pred",
            "malignant_pred",
            "benign_label",
            "malignant_label",
        ]
        assert next(csv.reader(breasts)) == ["index", "left_malignant", "right_malignant"]


def test_chosen_values_are_written_as_settings_of_a_node(outcome: Outcome, package: ModelPackage) -> None:
    inference = load_settings(outcome.files[2], {}).inference
    chosen = read_package(package.path)
    for kind, scale in chosen.calibration.items():
        assert inference.calibration[kind.value].slope == scale.slope
        assert inference.operating_points[kind.value].minimum_area_px == chosen.operating_points[kind].minimum_area_px
    assert set(inference.calibration) == {kind.value for kind in chosen.calibration} != set()


def test_the_mean_scores_are_in_the_package_to_compare_with(outcome: Outcome, package: ModelPackage) -> None:
    with outcome.files[3].open(encoding="utf-8") as images:
        rows = list(csv.DictReader(images))
    for kind, mean in read_package(package.path).reference.items():
        assert mean == pytest.approx(sum(float(row[f"{kind}_pred"]) for row in rows) / len(rows), abs=1e-4)


def test_operating_points_are_in_the_package_with_the_same_weights(package: ModelPackage, outcome: Outcome) -> None:
    now = read_package(package.path)
    assert outcome.written_points == ("benign", "malignant")
    assert now.operating_points != package.operating_points
    assert now.weights_sha256 == package.weights_sha256


def test_models_of_the_same_name_are_numbered(package: ModelPackage) -> None:
    assert [model.name for model in load_models([package] * 3, "cpu")] == [
        "Threshold",
        "Threshold (2)",
        "Threshold (3)",
    ]


def test_a_package_that_cannot_be_evaluated_is_refused(package: ModelPackage, tmp_path: Path) -> None:
    write_package(replace(package, path=tmp_path, architecture="oracle"))
    with pytest.raises(PackageMismatch, match="oracle package; glam, threshold"):
        run_evaluation(tmp_path, ("phantoms", "0:8"), tmp_path, NOW, options=SMALL)
