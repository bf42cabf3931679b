"""Tests of paired comparisons: p values against independent counts, and stored predictions against evaluations."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.evaluation.compare_results import compare_results
from glam_node.research.evaluation.evaluate_models import Evaluation, evaluate
from glam_node.research.evaluation.measure.comparison import delong_p_value, permutation_p_value, predictions
from glam_node.research.evaluation.report.files import (
    METRICS,
    PREDICTIONS,
    read_predictions,
    write_metrics,
    write_predictions,
)
from glam_node.research.evaluation.report.html_report import Heading
from tests.unit.research.evaluation.toys import ToyDataset, ToyModel

RESAMPLES, SEED = 50, 7
Values = NDArray[np.float64]


def drawn(images: int, seed: int) -> tuple[Values, list[bool]]:
    """Return correlated scores with ties of two models, and labels."""
    chance = np.random.default_rng(seed)
    labels = chance.random(images) < 0.4
    common = chance.normal(size=images)
    scores = np.stack(
        [common + labels + chance.normal(size=images), common + 0.3 * labels + chance.normal(size=images)]
    )
    return scores.round(1), labels.tolist()


def delong_by_pairs(scores: Values, labels: list[bool]) -> float:
    """Return DeLong's p value from the kernel of all pairs and the covariance matrices of its rows and columns."""
    positive = np.array(labels)
    kernels = [
        (each[positive][:, None] > each[~positive]) + 0.5 * (each[positive][:, None] == each[~positive])
        for each in scores
    ]
    of_positive = np.cov([kernel.mean(axis=1) for kernel in kernels])
    of_negative = np.cov([kernel.mean(axis=0) for kernel in kernels])
    covariance = of_positive / positive.sum() + of_negative / (~positive).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return math.erfc(abs(kernels[0].mean() - kernels[1].mean()) / math.sqrt(2 * variance))


@pytest.mark.parametrize("seed", range(5))
def test_delongs_test_of_one_image_per_patient_equals_that_by_all_pairs(seed: int) -> None:
    scores, labels = drawn(60, seed)
    found = delong_p_value(scores, labels, [str(image) for image in range(60)])
    assert found == pytest.approx(delong_by_pairs(scores, labels), rel=1e-9)


def test_images_that_repeat_a_patient_make_no_difference_surer() -> None:
    scores, labels = drawn(60, 3)
    patients = [str(image) for image in range(60)]
    once = delong_p_value(scores, labels, patients)
    thrice = delong_p_value(np.tile(scores, 3), labels * 3, patients * 3)
    as_if_independent = delong_p_value(np.tile(scores, 3), labels * 3, [str(image) for image in range(180)])
    assert once is not None
    assert thrice == pytest.approx(once, rel=0.05)
    assert as_if_independent is not None
    assert as_if_independent < once / 2


def test_delongs_test_is_level_between_models_that_are_equally_good() -> None:
    """Of 400 draws without a difference about 5 % are below 0.05, also when images of a patient are alike."""
    chance, found = np.random.default_rng(1), []
    for _ in range(400):
        labels = np.repeat(chance.random(60) < 0.5, 2)
        scores = np.repeat(chance.normal(size=(2, 60)), 2, axis=1) + labels + 0.3 * chance.normal(size=(2, 120))
        found.append(delong_p_value(scores, labels.tolist(), [str(image // 2) for image in range(120)]))
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08


@pytest.mark.parametrize(
    ("labels", "second"), [([True, False, False], [1, 2, 3]), ([True, True, False, False], [1, 2, 3, 4])]
)
def test_delongs_test_says_nothing_without_a_variance(labels: list[bool], second: list[int]) -> None:
    scores = np.array([list(reversed(second)), second], dtype=np.float64)
    assert delong_p_value(scores, labels, [str(image) for image in range(len(labels))]) is None


def test_delongs_test_of_equal_scores_is_1() -> None:
    scores, labels = drawn(30, 2)
    assert delong_p_value(np.stack([scores[0], scores[0]]), labels, [str(image) for image in range(30)]) == 1.0


def test_a_permutation_test_agrees_with_all_assignments_of_signs() -> None:
    differences = np.array([0.1, 0.3, -0.05, 0.2, 0.15, -0.1, 0.25, 0.02])
    clusters = ["a", "a", "b", "c", "d", "e", "f", "g"]
    sums = np.array([0.4, -0.05, 0.2, 0.15, -0.1, 0.25, 0.02])
    signs = np.array(list(itertools.product((-1, 1), repeat=7)))
    exact = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12)
    assert permutation_p_value(differences, clusters, 1) == pytest.approx(exact, abs=0.01)
    assert permutation_p_value(differences, clusters, 1) == permutation_p_value(differences, clusters, 1)


def test_a_permutation_test_of_no_difference_is_1_and_of_nothing_none() -> None:
    assert permutation_p_value(np.zeros(5), list("abcde"), 1) == 1.0
    assert permutation_p_value(np.empty(0), [], 1) is None


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    models = [ToyModel("sharp", 0.1), ToyModel("dull", 9.0)]
    return evaluate(ToyDataset(range(24)), models, resamples=RESAMPLES, seed=SEED)


def stored(directory: Path, evaluation: Evaluation, place: int) -> Path:
    """Write what an evaluation of one model of `evaluation` would have written."""
    directory.mkdir()
    write_predictions(directory / PREDICTIONS, evaluation.models[place])
    (directory / METRICS).write_text(json.dumps({"models": [{"name": evaluation.models[place].name}]}))
    return directory


def test_predictions_are_read_as_they_were_written(tmp_path: Path, evaluation: Evaluation) -> None:
    write_predictions(tmp_path / PREDICTIONS, evaluation.models[1])
    read = read_predictions(tmp_path / PREDICTIONS)
    assert read == {kind: predictions(evaluation.models[1].rows, kind) for kind in CHANNELS}


def test_a_comparison_of_stored_evaluations_equals_that_of_the_models(tmp_path: Path, evaluation: Evaluation) -> None:
    directories = [stored(tmp_path / str(place), evaluation, place) for place in (0, 1)]
    compared = compare_results(directories, tmp_path / "out", RESAMPLES, SEED)
    write_metrics(tmp_path / METRICS, evaluation, Heading("toys", True, ()))
    of_models = json.loads((tmp_path / METRICS).read_text())["comparisons"]
    assert json.loads(compared.file.read_text())["comparisons"] == of_models
    assert {each["kind"] for each in of_models} == set(FindingKind)
    assert all(each["dice_p_value"] < 0.05 for each in of_models)
    again = compare_results(directories, tmp_path / "again", RESAMPLES, SEED)
    assert again.file.read_bytes() == compared.file.read_bytes()


def test_images_that_one_evaluation_lacks_are_left_out_and_counted(tmp_path: Path, evaluation: Evaluation) -> None:
    first, other = (stored(tmp_path / str(place), evaluation, place) for place in (0, 1))
    head, *rows = (other / PREDICTIONS).read_text().splitlines()
    (other / PREDICTIONS).write_text("\n".join([head, *rows[3:]]))
    compared = compare_results([first, other], tmp_path / "out", RESAMPLES, SEED)
    assert compared.remarks == ("3 images that only one of sharp and dull has are left out.",)


def test_evaluations_of_other_images_or_labels_are_not_compared(tmp_path: Path, evaluation: Evaluation) -> None:
    first, other = (stored(tmp_path / str(place), evaluation, place) for place in (0, 1))
    text = (other / PREDICTIONS).read_text()
    head, *rows = text.splitlines()
    (other / PREDICTIONS).write_text("\n".join([head, *(f"x{row}" for row in rows)]))
    with pytest.raises(DatasetError, match="measured on different images"):
        compare_results([first, other], tmp_path / "out")
    cells = rows[0].split(",")
    cells[2] = "1" if cells[2] == "0" else "0"
    (other / PREDICTIONS).write_text("\n".join([head, ",".join(cells), *rows[1:]]))
    with pytest.raises(DatasetError, match="different benign labels of 1 images"):
        compare_results([first, other], tmp_path / "out")


@pytest.mark.parametrize("text", ["", "image_id,patient\n1,2\n", None])
def test_a_file_without_predictions_is_named(tmp_path: Path, evaluation: Evaluation, text: str | None) -> None:
    first, other = (stored(tmp_path / str(place), evaluation, place) for place in (0, 1))
    (other / PREDICTIONS).unlink() if text is None else (other / PREDICTIONS).write_text(text)
    with pytest.raises(DatasetError, match=r"predictions\.csv"):
        compare_results([first, other], tmp_path / "out")
