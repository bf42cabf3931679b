"""Tests that a package is compared with its golden case, and published weights with the printed scores."""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from glam_node.inference.glam.package_golden import GOLDEN_FILE, compare_golden_case, write_golden_case
from glam_node.inference.glam.package_verification import (
    PUBLISHED_SCORES,
    PublishedScore,
    Table,
    published_table,
    verify_package,
)
from glam_node.inference.glam.weights import load_network
from glam_node.inference.package import ModelPackage, read_package, write_package
from glam_node.inference.threshold import threshold_package
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.inference.glam.views import half_ellipse, posed

BENIGN, MALIGNANT = FindingKind


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Return a tiny package with its golden case, which no test may change."""
    package = tiny_package(tmp_path_factory.mktemp("package"))
    write_golden_case(package)
    return package


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two of the four sample images, fabricated."""
    folder = tmp_path_factory.mktemp("images")
    breast = half_ellipse((900, 600), 800, 500)
    cv2.imwrite(str(folder / "0_L-CC.png"), breast)
    cv2.imwrite(str(folder / "0_R-CC.png"), posed(breast, points_right=False))
    return folder


def error_of(report: GoldenReport, name: str) -> float:
    (quantity,) = (quantity for quantity in report.quantities if quantity.name == name)
    return quantity.largest_error


def test_a_package_recomputes_its_own_golden_case(package: ModelPackage) -> None:
    report = verify_package(package.path)
    assert report.passed
    assert {"scores", "saliency", "local_saliency", "patch_cell"} <= {row.name for row in report.quantities}
    assert report.not_computed == ()


def test_the_package_that_ships_recomputes_its_own_golden_case() -> None:
    assert verify_package(DEFAULT_PACKAGE).passed


def test_a_golden_case_is_small(package: ModelPackage) -> None:
    assert (package.path / GOLDEN_FILE).stat().st_size < 100_000


@pytest.mark.parametrize(
    ("tensor", "quantity"),
    [
        ("global_network.postprocess_module.gn_conv_last.weight", "scores"),
        ("detection_network.dn_resnet.layer4.0.conv1.weight", "local_saliency"),
    ],
)
def test_a_network_that_computes_otherwise_is_out_of_tolerance(
    package: ModelPackage, tensor: str, quantity: str
) -> None:
    network, ledger = load_network(package), GoldenLedger()
    network.get_parameter(tensor).data.mul_(1.01)
    compare_golden_case(ledger, package, fold_for_inference(network), "cpu")
    assert not ledger.quantities[quantity].within_tolerance


def test_a_package_without_a_golden_case_is_not_verified(tmp_path: Path) -> None:
    report = verify_package(tiny_package(tmp_path).path)
    assert not report.passed
    assert report.not_computed[0].reason == "the package has no golden.npz"


def test_the_golden_case_of_other_weights_is_refused(package: ModelPackage, tmp_path: Path) -> None:
    other = tiny_package(tmp_path, seed=6)
    (other.path / GOLDEN_FILE).write_bytes((package.path / GOLDEN_FILE).read_bytes())
    with pytest.raises(PackageMismatch, match="belongs to other weights"):
        verify_package(other.path)


def archive(**arrays: object) -> bytes:
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]
    return written.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"nothing", archive(a=1), archive(meta="[]"), archive(meta='{"format_version": 9}')],
    ids=["empty", "no archive", "no meta", "another meta", "another version"],
)
def test_a_file_that_is_not_a_golden_case_is_refused(tmp_path: Path, content: bytes) -> None:
    package = tiny_package(tmp_path)
    (package.path / GOLDEN_FILE).write_bytes(content)
    with pytest.raises(PackageMismatch, match="not a golden case"):
        verify_package(package.path)


def test_a_golden_case_that_lacks_a_value_is_refused(tmp_path: Path) -> None:
    package = tiny_package(tmp_path)
    meta = f'{{"format_version": 1, "weights_sha256": "{package.weights_sha256}"}}'
    (package.path / GOLDEN_FILE).write_bytes(archive(meta=meta))
    with pytest.raises(PackageMismatch, match="has a missing or malformed entry: 'patch_cell'"):
        verify_package(package.path)


def test_a_package_of_another_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageMismatch, match="only glam packages"):
        verify_package(threshold_package(tmp_path).path)


def table_with(images: tuple[str, ...], benign: float, malignant: float) -> Table:
    return tuple(
        PublishedScore(image, kind, score, 5.2e-5)
        for image in images
        for kind, score in ((BENIGN, benign), (MALIGNANT, malignant))
    )


@pytest.fixture(scope="module")
def scores(package: ModelPackage, images: Path) -> tuple[float, float]:
    """Return the scores of the tiny network for the fabricated images, measured as differences from 0."""
    report = verify_package(package.path, images, table=table_with(("0_L-CC",), 0.0, 0.0))
    return error_of(report, "published benign score"), error_of(report, "published malignant score")


def test_scores_that_round_to_the_printed_ones_are_within_tolerance(
    package: ModelPackage, images: Path, scores: tuple[float, float]
) -> None:
    printed = table_with(("0_L-CC", "0_R-CC"), round(scores[0], 4), round(scores[1], 4))
    report = verify_package(package.path, images, table=printed)
    assert report.passed
    assert error_of(report, "published malignant score") <= 5e-5


def test_a_score_that_differs_in_the_last_printed_decimal_is_out_of_tolerance(
    package: ModelPackage, images: Path, scores: tuple[float, float]
) -> None:
    printed = table_with(("0_L-CC", "0_R-CC"), round(scores[0], 4), round(scores[1], 4) + 2e-4)
    assert not verify_package(package.path, images, table=printed).passed


def test_a_missing_image_is_named(package: ModelPackage, images: Path) -> None:
    report = verify_package(package.path, images, table=table_with(("0_L-MLO",), 0.5, 0.5))
    assert report.not_computed[0].name == "published scores of 0_L-MLO"


def test_unpublished_weights_have_no_published_scores(package: ModelPackage, images: Path) -> None:
    (left_out,) = verify_package(package.path, images).not_computed
    assert "was not imported from model_sep.ckpt" in left_out.reason


@pytest.mark.parametrize("name", PUBLISHED_SCORES)
def test_a_package_has_the_scores_of_its_published_checkpoint(package: ModelPackage, tmp_path: Path, name: str) -> None:
    imported = replace(package, path=tmp_path, parameters={"checkpoint": name})
    write_package(imported)
    assert published_table(read_package(tmp_path)) == PUBLISHED_SCORES[name]
