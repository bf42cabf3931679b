"""Tests of the predictor of the default, UNTRAINED package, and of unsuitable packages."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from glam_node.inference.errors import DeviceUnavailable, PackageMismatch
from glam_node.inference.findings import FindingKind, ImageFindings
from glam_node.inference.glam.predictor import GlamParameters, GlamPredictor
from glam_node.inference.glam.weights import StateDict
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.package import ModelPackage, OperatingPoint, read_package
from glam_node.inference.phantom import make_exam
from glam_node.inference.predictor import Predictor
from glam_node.inference.reading import read_mammogram
from tests.networks import folded
from tests.packages import SEEDED_PACKAGE
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.inference.glam.views import half_ellipse, orientation_header, posed, view_of

NEVER = {kind: OperatingPoint(1.0, 0.5, 0.5, 1) for kind in FindingKind}
ALWAYS = {kind: OperatingPoint(0.0, 0.5, 0.52, 500) for kind in FindingKind}
BREAST = half_ellipse((900, 600), 800, 500)
BREAST[300:360, 100:180] = 9000


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return read_package(SEEDED_PACKAGE)


@pytest.fixture(scope="module")
def eager(package: ModelPackage) -> GlamPredictor:
    """Return a predictor for which every image is positive."""
    return GlamPredictor.from_package(replace(package, operating_points=ALWAYS), "cpu")


@pytest.fixture(scope="module")
def found(eager: GlamPredictor) -> ImageFindings:
    (image,) = eager.segment([view_of(BREAST)])
    return image


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> GlamPredictor:
    """Return such a predictor with a tiny network, for tests in which the values do not matter."""
    return GlamPredictor.from_package(tiny_package(tmp_path_factory.mktemp("tiny"), operating_points=ALWAYS), "cpu")


@pytest.fixture(scope="module")
def first(quick: GlamPredictor) -> ImageFindings:
    """Return its findings in a first image."""
    (image,) = quick.segment([view_of(BREAST)])
    assert image.findings
    return image


@pytest.fixture
def hungry(package: ModelPackage, eager: GlamPredictor, state: StateDict) -> Callable[[int], GlamPredictor]:
    """Return a function that makes a predictor with batches of four on a device with memory for `capacity` images."""

    def with_capacity(capacity: int) -> GlamPredictor:
        network = folded(state)

        def allocate(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
            if len(inputs[0]) > capacity:
                raise torch.OutOfMemoryError("no memory")

        network.global_network.register_forward_pre_hook(allocate)
        return GlamPredictor(network, torch.device("cpu"), NEVER, GlamParameters(), eager.algorithm, batch_size=4)

    return with_capacity


def test_the_default_package_says_that_it_is_untrained(package: ModelPackage) -> None:
    predictor = GlamPredictor.from_package(package, "cpu")
    assert not predictor.algorithm.trained
    assert "UNTRAINED" in predictor.algorithm.algorithm_name
    assert predictor.algorithm.weights_sha256 == package.weights_sha256


def test_the_algorithm_names_everything_that_decides_what_a_finding_is(eager: Predictor) -> None:
    assert ("malignant.global_saliency_threshold", "0.52") in eager.algorithm.parameters
    assert ("patches_per_image", "1") in eager.algorithm.parameters
    assert len(eager.algorithm.parameters) == 10


def test_the_algorithm_states_the_size_of_filled_gaps(tmp_path: Path) -> None:
    package = tiny_package(tmp_path)
    filling = replace(package, shape={**package.shape, "local_closing": 32})
    parameters, others = (GlamPredictor.from_package(each, "cpu").algorithm.parameters for each in (filling, package))
    assert set(parameters) - set(others) == {("local_closing", "32")}


def test_a_view_has_two_scores_and_findings_of_both_classes_at_most_three_each(found: ImageFindings) -> None:
    assert found.benign_score is not None
    assert found.malignant_score is not None
    assert 0 < found.benign_score < 1
    kinds = [finding.kind for finding in found.findings]
    assert 1 <= kinds.count(FindingKind.BENIGN) <= 3
    assert 1 <= kinds.count(FindingKind.MALIGNANT) <= 3


def test_findings_lie_within_the_breast(found: ImageFindings) -> None:
    background = BREAST == 0
    assert not any((finding.full_mask(found.shape) & background).any() for finding in found.findings)


def test_the_same_view_gives_the_same_findings(quick: GlamPredictor, first: ImageFindings) -> None:
    (again,) = quick.segment([view_of(BREAST)])
    assert again.malignant_score == first.malignant_score
    for one, other in zip(again.findings, first.findings, strict=True):
        assert one.origin == other.origin
        assert np.array_equal(one.mask, other.mask)


def test_a_view_stored_in_another_pose_has_the_same_findings_in_that_pose(
    quick: GlamPredictor, first: ImageFindings
) -> None:
    pose = {"points_right": False, "upside_down": False}
    header = orientation_header(Laterality.LEFT, ViewPosition.CC, **pose)
    (turned,) = quick.segment([view_of(posed(BREAST, **pose), patient_orientation=header)])
    assert turned.malignant_score == first.malignant_score
    for one, other in zip(turned.findings, first.findings, strict=True):
        assert np.array_equal(one.full_mask(turned.shape), other.full_mask(first.shape)[:, ::-1])


def test_a_bad_image_fails_with_a_reason_and_harms_no_other(quick: GlamPredictor, first: ImageFindings) -> None:
    black = np.zeros((900, 600), dtype=np.uint16)
    failed, good = quick.segment([view_of(black, uid="2.25.2"), view_of(BREAST)])
    assert (failed.sop_instance_uid, failed.malignant_score, failed.findings) == ("2.25.2", None, ())
    assert failed.failure is not None
    assert "no breast" in failed.failure
    assert good.malignant_score == first.malignant_score


def test_no_images_give_no_results(eager: GlamPredictor) -> None:
    assert eager.segment([]) == []


def test_a_negative_image_has_scores_without_findings_and_skips_the_local_network(
    package: ModelPackage, found: ImageFindings
) -> None:
    predictor = GlamPredictor.from_package(replace(package, operating_points=NEVER), "cpu")
    (image,) = predictor.segment([view_of(BREAST)])
    assert (image.malignant_score, image.findings) == (found.malignant_score, ())
    assert predictor.last_stage_seconds["local"] < predictor.last_stage_seconds["global"] / 2


def test_the_seconds_of_every_stage_are_kept(eager: GlamPredictor, found: ImageFindings) -> None:
    assert list(eager.last_stage_seconds) == ["preprocess", "global", "local", "postprocess"]


def test_a_phantom_of_the_demo_has_findings(package: ModelPackage) -> None:
    right_cc = read_mammogram(make_exam(1)[0].dataset)
    (image,) = GlamPredictor.from_package(package, "auto").segment([right_cc])
    assert image.failure is None
    assert 1 <= len(image.findings) <= 6
    assert all(finding.pixel_count < 0.05 * right_cc.pixels.size for finding in image.findings)


def test_batches_shrink_when_memory_is_short(hungry: Callable[[int], GlamPredictor]) -> None:
    results = hungry(1).segment([view_of(BREAST, uid=f"2.25.{number}") for number in range(3)])
    assert [image.sop_instance_uid for image in results] == ["2.25.0", "2.25.1", "2.25.2"]
    assert len({image.malignant_score for image in results}) == 1


def test_the_device_is_unavailable_when_a_single_image_does_not_fit(hungry: Callable[[int], GlamPredictor]) -> None:
    with pytest.raises(DeviceUnavailable, match="does not have enough free memory"):
        hungry(0).segment([view_of(BREAST)])


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "gpu", "meta"])
def test_a_missing_device_is_named(package: ModelPackage, device: str) -> None:
    with pytest.raises(DeviceUnavailable, match=device):
        GlamPredictor.from_package(package, device)


def test_a_package_of_another_architecture_is_refused(package: ModelPackage) -> None:
    with pytest.raises(PackageMismatch, match="threshold package"):
        GlamPredictor.from_package(replace(package, architecture="threshold"), "cpu")


def test_seeded_weights_with_another_digest_are_refused(package: ModelPackage) -> None:
    with pytest.raises(PackageMismatch, match="seed 129 have SHA-256"):
        GlamPredictor.from_package(replace(package, seed=129), "cpu")


@pytest.mark.parametrize("value", [0, -1, "2", 1.0, True])
def test_an_invalid_parameter_is_named(package: ModelPackage, value: object) -> None:
    with pytest.raises(PackageMismatch, match=r"parameters\.patches_per_image"):
        GlamPredictor.from_package(replace(package, parameters={"patches_per_image": value}), "cpu")
