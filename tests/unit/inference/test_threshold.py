"""Tests of the predictor without a network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.package import read_package
from glam_node.inference.phantom import PhantomView, make_exam
from glam_node.inference.predictor import Predictor
from glam_node.inference.threshold import ThresholdPredictor, threshold_package


def mammogram(view: PhantomView) -> Mammogram:
    dataset = view.dataset
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    return Mammogram(
        sop_instance_uid=dataset.SOPInstanceUID,
        image_laterality=Laterality(dataset.ImageLaterality),
        view_position=ViewPosition(dataset.ViewPosition),
        pixels=pixels,
        imager_pixel_spacing=None,
        patient_orientation=None,
    )


def black() -> Mammogram:
    return Mammogram("2.25.1", Laterality.LEFT, ViewPosition.CC, np.zeros((8, 8), np.uint16), None, None)


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return ThresholdPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")


@pytest.mark.parametrize("size", [(64, 48), (128, 96), (256, 192)])
def test_the_lesions_of_a_phantom_are_found(predictor: Predictor, size: tuple[int, int]) -> None:
    views = make_exam(11, rows=size[0], columns=size[1])
    found = predictor.segment([mammogram(view) for view in views])
    kinds = [[finding.kind for finding in image.findings] for image in found]
    assert kinds == [[FindingKind.BENIGN], [FindingKind.MALIGNANT]] * 2


def test_a_finding_lies_on_the_lesion(predictor: Predictor) -> None:
    view = make_exam(11, rows=256, columns=192)[1]
    (found,) = predictor.segment([mammogram(view)])
    mask = found.findings[0].full_mask(found.shape)
    assert np.count_nonzero(mask & view.malignant_mask) > 0.95 * np.count_nonzero(mask)


def test_a_view_without_lesion_has_no_finding_and_scores_zero(predictor: Predictor) -> None:
    (found,) = predictor.segment([mammogram(make_exam(11, rows=128, columns=96, lesions=())[0])])
    assert (found.findings, found.benign_score, found.malignant_score, found.failure) == ((), 0.0, 0.0, None)


def test_the_score_of_an_image_is_that_of_its_brightest_finding(predictor: Predictor) -> None:
    (found,) = predictor.segment([mammogram(make_exam(11, rows=128, columns=96)[0])])
    assert found.benign_score == found.findings[0].score


def test_a_black_image_fails_alone(predictor: Predictor) -> None:
    failed, found = predictor.segment([black(), mammogram(make_exam(11, rows=128, columns=96)[0])])
    assert failed.failure is not None
    assert failed.malignant_score is None
    assert found.failure is None


def test_the_algorithm_is_untrained_and_names_its_thresholds(predictor: Predictor) -> None:
    assert not predictor.algorithm.trained
    assert ("malignant.global_saliency_threshold", "0.67") in predictor.algorithm.parameters


def test_a_package_of_another_architecture_is_refused(tmp_path: Path) -> None:
    package = threshold_package(tmp_path)
    (tmp_path / "package.toml").write_text((tmp_path / "package.toml").read_text().replace('"threshold"', '"glam"'))
    with pytest.raises(PackageMismatch, match="glam package"):
        ThresholdPredictor.from_package(read_package(package.path), "cpu")


def test_remarks_of_reading_are_kept_in_the_result(predictor: Predictor) -> None:
    (image,) = predictor.segment([replace(black(), remarks=("The image has a frame.",))])
    assert image.remarks == ("The image has a frame.",)
