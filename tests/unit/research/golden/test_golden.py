"""Tests that golden files are recomputed, and that differences and missing values are reported."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from glam_node.inference.glam.breast import locate_breast
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.patches import cut_patches, propose_patches
from glam_node.inference.glam.routes import Route
from glam_node.inference.glam.weights import seeded_state_dict
from glam_node.inference.options import Runtime
from glam_node.research.golden.golden_file import UnreadableGoldenFile, verify_golden
from glam_node.research.golden.golden_view import (
    LOCAL_TOLERANCE,
    WINDOW_TOLERANCE,
    Pose,
    ViewValues,
    compare_overview,
    compare_preprocessing,
)
from tests.networks import along
from tests.shared_data import SHARED, needs_shared_data
from tests.unit.research.golden.tiny_golden import TINY, write_golden


def errors(report: GoldenReport) -> dict[str, float]:
    return {quantity.name: quantity.largest_error for quantity in report.quantities}


GOLDEN = (SHARED or Path()) / "golden" / "golden_public.npz"
MAMMOGRAMS = (SHARED or Path()) / "data" / "mammograms"
OTHERS = ("R-CC", "L-MLO", "R-MLO")


@pytest.fixture(scope="module")
def mammograms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that contains L-CC only."""
    folder = tmp_path_factory.mktemp("mammograms")
    (folder / "0_L-CC.png").symlink_to(MAMMOGRAMS / "0_L-CC.png")
    return folder


@needs_shared_data
@pytest.mark.shared_data
def test_the_public_golden_file_is_reproduced(mammograms: Path) -> None:
    report = verify_golden(GOLDEN, mammograms)
    assert [quantity for quantity in report.quantities if not quantity.within_tolerance] == []
    assert [left_out.name for left_out in report.not_computed] == [f"view {name}" for name in OTHERS]
    assert {quantity.name: quantity.cases for quantity in report.quantities}["patch position"] == 1
    assert {quantity.name: quantity.cases for quantity in report.quantities}["crop"] == 29
    assert report.passed


@pytest.fixture(scope="module")
def fast() -> Glam:
    """Return the network with the exact route that is fastest on most processors."""
    return along(Route(Runtime.OPENVINO, Runtime.NCNN), seeded_state_dict(128)[0])


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.parametrize("name", OTHERS)
def test_the_other_public_views_are_reproduced_by_the_fast_route(fast: Glam, name: str) -> None:
    ledger = GoldenLedger()
    with np.load(GOLDEN) as values:
        golden = ViewValues(values, f"img/{name}/")
        pixels = np.asarray(cv2.imread(str(MAMMOGRAMS / f"0_{name}.png"), cv2.IMREAD_UNCHANGED), dtype=np.uint16)
        window = torch.from_numpy(
            compare_preprocessing(ledger, name, pixels, locate_breast(pixels).solid, Pose.of(name, "NO"), golden)
        )[None, None]
        with torch.inference_mode():
            overview = fast.global_network(window)
            compare_overview(ledger, name, overview, golden)
            cells = propose_patches(overview.saliency, 1)
            ledger.same("patch cell", name, cells[0], golden["patch_small"])
            patch = cut_patches(window, cells, fast.shape)
            ledger.compare("patch", name, patch[0, 0, ::16, ::16], golden["patch_sub"], WINDOW_TOLERANCE)
            local = fast.look_closely(window, cells)[0, 0]
        ledger.compare("raw_local_CAM", name, local, golden["raw_local_CAM"].reshape(2, 128, 128), LOCAL_TOLERANCE)
    assert len(ledger.quantities) > 15
    assert [quantity for quantity in ledger.quantities.values() if not quantity.within_tolerance] == []


def test_a_digest_that_differs_fails_the_report(tmp_path: Path) -> None:
    report = verify_golden(write_golden(tmp_path / "golden.npz"))
    assert errors(report)["weights (SHA-256)"] == 0
    assert errors(report)["synthetic inputs (SHA-256)"] == 1
    assert not report.passed


def test_a_crop_that_fails_where_it_should_is_right(tmp_path: Path) -> None:
    assert errors(verify_golden(write_golden(tmp_path / "golden.npz")))["breast found"] == 0


def test_a_crop_that_fails_where_it_should_not_is_wrong(tmp_path: Path) -> None:
    golden = write_golden(tmp_path / "golden.npz", prep_cases=[TINY | {"input_sha256": "0"}])
    assert errors(verify_golden(golden))["breast found"] == 1


@pytest.mark.parametrize(("images", "reason"), [(False, "no folder"), (True, "no PNG with its SHA-256")])
def test_missing_views_are_reported(tmp_path: Path, images: bool, reason: str) -> None:
    report = verify_golden(write_golden(tmp_path / "golden.npz"), tmp_path if images else None)
    (left_out,) = report.not_computed
    assert left_out.name == "view L-CC"
    assert reason in left_out.reason


def test_a_file_that_is_not_golden_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    with pytest.raises(UnreadableGoldenFile, match="No such file"):
        verify_golden(path)
    path.write_bytes(b"PK nonsense")
    with pytest.raises(UnreadableGoldenFile, match="is not a golden file"):
        verify_golden(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(UnreadableGoldenFile, match="meta"):
        verify_golden(path)


def test_a_file_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableGoldenFile, match="malformed entry"):
        verify_golden(write_golden(tmp_path / "golden.npz", prep_cases=[{"name": "x"}]))


def test_the_ledger_keeps_the_worst_case_of_each_quantity() -> None:
    ledger = GoldenLedger()
    for case, value in (("a", 1.0), ("b", 1.5), ("c", 0.9)):
        ledger.compare("score", case, [value], [1.0], tolerance=0.2)
    (quantity,) = ledger.quantities.values()
    assert (quantity.worst_case, quantity.largest_error, quantity.cases) == ("b", 0.5, 3)
    assert not quantity.within_tolerance


@pytest.mark.parametrize("computed", [[1.0, 2.0], [float("nan")]])
def test_other_shapes_and_nan_are_infinite_errors(computed: list[float]) -> None:
    ledger = GoldenLedger()
    ledger.compare("score", "a", computed, [1.0], tolerance=1.0)
    assert ledger.quantities["score"].largest_error == float("inf")
