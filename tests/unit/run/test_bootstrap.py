"""Construction of a node from settings, and messages on settings that cannot work."""

import sys
from pathlib import Path
from typing import Any

import pytest

from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.route_timing import measure_routes
from glam_node.inference.options import Measure
from glam_node.inference.route_record import RECORD_FILE, RouteMeasurement
from glam_node.node.bootstrap import build_node, configured_package, database_trouble, load_configured_predictor
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.root import MARKER, write_marker
from glam_node.settings.schema import Settings
from tests.unit.inference.glam.tiny_package import tiny_package

THRESHOLD = "glam_node.inference.threshold:ThresholdPredictor"


def settings(root: Path, **sections: Any) -> Settings:
    """Return settings with the threshold predictor and a storage root."""
    return Settings.model_validate({"storage": {"root": root}, "inference": {"predictor": THRESHOLD}} | sections)


def test_a_node_has_its_directories_database_and_destinations(tmp_path: Path) -> None:
    destinations = {"archive": {}, "trial": {"kind": "folder", "path": tmp_path / "out"}}
    node = build_node(settings(tmp_path / "root", destinations=destinations))
    assert (tmp_path / "root" / "glam-node.sqlite").is_file()
    assert {name: destination.name for name, destination in node.destinations.items()} == {
        "archive": "archive",
        "trial": "trial",
    }


def test_the_algorithm_states_a_calibration_from_the_settings(tmp_path: Path) -> None:
    scale = {"malignant": {"slope": 2.0, "intercept": -1.0}}
    calibrated = settings(tmp_path, inference={"predictor": THRESHOLD, "calibration": scale})
    stated = dict(load_configured_predictor(calibrated).algorithm.parameters)
    assert stated["malignant.calibrated_by"] == "site"
    assert (stated["malignant.calibration_slope"], stated["malignant.calibration_intercept"]) == ("2", "-1")
    assert not any(name.startswith("benign.calibrat") for name in stated)


def test_measured_routes_are_kept_only_in_a_storage_root_with_its_marker(tmp_path: Path) -> None:
    root = tmp_path / "root"
    inference = {"package": tiny_package(tmp_path / "package").path, "device": "cpu"}
    load_configured_predictor(settings(root, inference=inference), Measure.ONCE)
    assert not root.exists()
    root.mkdir()
    load_configured_predictor(settings(root, inference=inference), Measure.ONCE)
    assert list(root.iterdir()) == []
    write_marker(root, "id")
    load_configured_predictor(settings(root, inference=inference), Measure.ONCE)
    assert {path.name for path in root.iterdir()} == {MARKER, RECORD_FILE}


def test_measured_routes_are_not_kept_in_the_empty_mount_point_of_a_share_that_went_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"

    def measure_while_the_share_goes_away(*arguments: Any) -> RouteMeasurement:
        root.rename(tmp_path / "away")
        root.mkdir()
        return measure_routes(*arguments)

    monkeypatch.setattr("glam_node.inference.glam.route_choice.measure_routes", measure_while_the_share_goes_away)
    root.mkdir()
    write_marker(root, "id")
    inference = {"package": tiny_package(tmp_path / "package").path, "device": "cpu"}
    load_configured_predictor(settings(root, inference=inference), Measure.ONCE)
    assert list(root.iterdir()) == []
    assert {path.name for path in (tmp_path / "away").iterdir()} == {MARKER, RECORD_FILE}, "the attempt was counted"


def test_a_storage_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match=r"storage.root .* cannot be written .* set another storage.root"):
        build_node(settings(tmp_path / "file" / "root"))


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path) -> None:
    away = settings(tmp_path, database_url="postgresql+psycopg://node:secret@127.0.0.1:1/glam")
    with pytest.raises(TransientError, match=r"node:\*\*\*@127.0.0.1:1/glam does not answer") as caught:
        build_node(away)
    assert "secret" not in str(caught.value)


def test_the_error_for_a_missing_database_driver_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PermanentError, match=r"pip install 'glam-node\[postgresql\]'"):
        build_node(settings(tmp_path, database_url="postgresql+psycopg://127.0.0.1/glam"))


def test_other_errors_pass_through_unchanged(tmp_path: Path) -> None:
    with pytest.raises(KeyError), database_trouble(settings(tmp_path)):
        raise KeyError


def test_settings_override_operating_points_one_by_one(tmp_path: Path) -> None:
    override = {"malignant": {"minimum_area_px": 99}}
    plain = configured_package(settings(tmp_path)).operating_points
    changed = configured_package(
        settings(tmp_path, inference={"predictor": THRESHOLD, "operating_points": override})
    ).operating_points
    assert changed[FindingKind.MALIGNANT].minimum_area_px == 99
    assert changed[FindingKind.BENIGN] == plain[FindingKind.BENIGN]


def test_a_predictor_without_a_configured_package_uses_its_own(tmp_path: Path) -> None:
    assert load_configured_predictor(settings(tmp_path)).algorithm.algorithm_name == "Threshold"
