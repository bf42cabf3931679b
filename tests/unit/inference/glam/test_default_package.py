"""Tests of the shipped package: it is small, states its limits, and finds the lesions of the demo's phantoms."""

import numpy as np
import pytest

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.inference.findings import FindingKind, ImageFindings
from glam_node.inference.glam.package_verification import verify_package
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.mammogram import Laterality
from glam_node.inference.package import read_package
from glam_node.inference.phantom import DEFAULT_LESIONS, Lesions, make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.research.evaluation.measure.overlap import dice

# A seed that was used neither for training nor for tuning
SEED = 77
LEAST_DICE = 0.5


@pytest.fixture(scope="module")
def predictor() -> GlamPredictor:
    return GlamPredictor.from_package(read_package(DEFAULT_PACKAGE), "cpu")


def found(predictor: GlamPredictor, lesions: Lesions) -> list[ImageFindings]:
    exam = make_exam(SEED, lesions=lesions)
    return predictor.segment([read_mammogram(view.dataset) for view in exam])


def test_the_default_package_is_small_and_says_that_it_is_not_for_patients() -> None:
    package = read_package(DEFAULT_PACKAGE)
    assert package.weights_path.stat().st_size < 4_000_000
    assert "not for patients" in package.algorithm_name
    assert "not for patients" in package.card.intended_use
    assert "synthetic" in package.card.training_data


def test_the_default_package_passes_its_golden_case() -> None:
    assert verify_package(DEFAULT_PACKAGE).passed


def test_both_lesions_of_an_exam_are_found_in_both_views_and_nothing_else(predictor: GlamPredictor) -> None:
    for image in found(predictor, DEFAULT_LESIONS):
        kind = FindingKind.BENIGN if image.image_laterality is Laterality.RIGHT else FindingKind.MALIGNANT
        assert {finding.kind for finding in image.findings} == {kind}


def test_findings_cover_whole_lesions(predictor: GlamPredictor) -> None:
    exam = make_exam(SEED)
    for view, image in zip(exam, predictor.segment([read_mammogram(view.dataset) for view in exam]), strict=True):
        outlined = np.logical_or.reduce([finding.full_mask(image.shape) for finding in image.findings])
        assert dice(outlined, view.benign_mask | view.malignant_mask) > LEAST_DICE


def test_a_normal_exam_has_no_findings(predictor: GlamPredictor) -> None:
    assert [image.findings for image in found(predictor, ())] == [()] * 4
