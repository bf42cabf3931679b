"""Tests of the analysis of one study by one predictor."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.findings import ImageFindings
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.phantom import make_exam
from glam_node.inference.study import SourceImage, segment_study
from glam_node.inference.threshold import ThresholdPredictor, threshold_package


class TellingPredictor(ThresholdPredictor):
    """A predictor that measures its stages."""

    last_stage_seconds = {"global": 1.0, "local": 2.0}  # noqa: RUF012


class ForgetfulPredictor(ThresholdPredictor):
    """A predictor that loses a result, which none may."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        return super().segment(mammograms)[1:]


@pytest.fixture
def predictor(tmp_path: Path) -> ThresholdPredictor:
    return ThresholdPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")


@pytest.fixture
def sources(tmp_path: Path) -> list[SourceImage]:
    return [source(view.dataset, tmp_path) for view in make_exam(11, rows=64, columns=48)]


def source(dataset: Dataset, directory: Path) -> SourceImage:
    path = directory / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return SourceImage(
        path,
        str(dataset.SOPInstanceUID),
        Laterality(dataset.ImageLaterality),
        ViewPosition(dataset.ViewPosition),
        (dataset.Rows, dataset.Columns),
    )


def test_every_image_has_its_result_in_order(sources: list[SourceImage], predictor: ThresholdPredictor) -> None:
    findings = segment_study("2.25.1", sources, predictor)
    assert [image.sop_instance_uid for image in findings.images] == [one.sop_instance_uid for one in sources]
    assert (findings.study_instance_uid, findings.algorithm) == ("2.25.1", predictor.algorithm)
    assert [image.failure for image in findings.images] == [None] * 4


def test_an_unreadable_image_fails_alone_with_its_reason(
    sources: list[SourceImage], predictor: ThresholdPredictor
) -> None:
    sources[1].path.write_bytes(b"no DICOM")
    first, refused, *_ = segment_study("2.25.1", sources, predictor).images
    assert (refused.sop_instance_uid, refused.shape) == (sources[1].sop_instance_uid, (64, 48))
    assert (refused.image_laterality, refused.view_position) == ("L", "CC")
    assert refused.failure is not None
    assert (refused.malignant_score, first.failure) == (None, None)


def test_a_study_without_a_readable_image_does_not_reach_the_predictor(
    sources: list[SourceImage], tmp_path: Path
) -> None:
    for one in sources:
        one.path.write_bytes(b"no DICOM")
    predictor = TellingPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")
    findings = segment_study("2.25.1", sources, predictor)
    assert all(image.failure for image in findings.images)
    assert [stage for stage, _ in findings.stage_seconds] == ["read"]


def test_the_stages_are_timed(sources: list[SourceImage], predictor: ThresholdPredictor) -> None:
    stages = segment_study("2.25.1", sources, predictor).stage_seconds
    assert [stage for stage, _ in stages] == ["read", "segment"]
    assert all(seconds > 0 for _, seconds in stages)


def test_stages_that_a_predictor_measures_are_kept(sources: list[SourceImage], tmp_path: Path) -> None:
    predictor = TellingPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")
    assert segment_study("2.25.1", sources, predictor).stage_seconds[1:] == (("global", 1.0), ("local", 2.0))


def test_a_missing_file_is_an_error_and_not_a_result(sources: list[SourceImage], predictor: ThresholdPredictor) -> None:
    sources[0].path.unlink()
    with pytest.raises(FileNotFoundError):
        segment_study("2.25.1", sources, predictor)


def test_a_predictor_that_loses_a_result_raises(sources: list[SourceImage], tmp_path: Path) -> None:
    predictor = ForgetfulPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")
    with pytest.raises(ValueError, match="zip"):
        segment_study("2.25.1", sources, predictor)
