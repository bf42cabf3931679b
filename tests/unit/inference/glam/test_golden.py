"""Golden files are recomputed, and whatever differs or cannot be computed is reported."""

import json
from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.glam.golden import UnreadableGoldenFile, verify_golden
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from tests.shared_data import SHARED, needs_shared_data

TINY = {"name": "tiny", "view": "L-CC", "hflip": "NO", "shape": [260, 250], "seed": 1, "items": [], "outcome": "ok"}


def write_golden(path: Path, **changes: object) -> Path:
    """A golden file without images whose only input is black, which no crop can succeed on."""
    meta = {
        "seed": 128,
        "weights_sha256": "6339af039334d7304cdd952b672a158cf87150e9056f57d0a6e406619fd2702b",
        "tensor_sha256": {},
        "prep_cases": [TINY | {"input_sha256": "0", "outcome": "crop_failed"}],
        "params": {"top_k_per_class": 1},
        "images": {"L-CC": "1234"},
    }
    np.savez(path, meta=np.array(json.dumps(meta | changes)))
    return path


def errors(report: GoldenReport) -> dict[str, float]:
    return {quantity.name: quantity.largest_error for quantity in report.quantities}


@needs_shared_data
@pytest.mark.shared_data
def test_the_public_golden_file_is_reproduced() -> None:
    assert SHARED is not None
    report = verify_golden(SHARED / "golden" / "golden_public.npz", SHARED / "data" / "mammograms")
    assert [quantity for quantity in report.quantities if not quantity.within_tolerance] == []
    assert report.not_computed == ()
    assert {quantity.name: quantity.cases for quantity in report.quantities}["patch position"] == 4
    assert {quantity.name: quantity.cases for quantity in report.quantities}["crop"] == 32
    assert report.passed


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
def test_views_that_are_not_there_are_reported(tmp_path: Path, images: bool, reason: str) -> None:
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
    with pytest.raises(UnreadableGoldenFile, match="garbles"):
        verify_golden(write_golden(tmp_path / "golden.npz", prep_cases=[{"name": "x"}]))


def test_the_ledger_keeps_the_worst_case_of_each_quantity() -> None:
    ledger = GoldenLedger()
    for case, value in (("a", 1.0), ("b", 1.5), ("c", 0.9)):
        ledger.compare("score", case, [value], [1.0], tolerance=0.2)
    (quantity,) = ledger.quantities.values()
    assert (quantity.worst_case, quantity.largest_error, quantity.cases) == ("b", 0.5, 3)
    assert not quantity.within_tolerance


@pytest.mark.parametrize("computed", [[1.0, 2.0], [float("nan")]])
def test_other_shapes_and_not_numbers_are_infinitely_wrong(computed: list[float]) -> None:
    ledger = GoldenLedger()
    ledger.compare("score", "a", computed, [1.0], tolerance=1.0)
    assert ledger.quantities["score"].largest_error == float("inf")
