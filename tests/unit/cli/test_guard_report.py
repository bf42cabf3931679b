"""Tests of `glam-node research guard-report`: counts by source, view and orientation, reasons and exit codes."""

import json
from pathlib import Path

import pytest

from glam_node.inference.phantom import make_exam
from tests.command_line import glam_node

TURNED = ["mirrored", "turned by 90 degrees", "turned by 270 degrees", "turned by 180 degrees"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an exam of one source, a view without Patient Orientation of another, and no image."""
    for number, view in enumerate(make_exam(3)):
        target = tmp_path / "data" / "vendor" / f"{number}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        view.dataset.save_as(target, enforce_file_format=True)
        if (view.dataset.ImageLaterality, view.dataset.ViewPosition) == ("L", "CC"):
            del view.dataset.PatientOrientation
            (tmp_path / "data" / "old").mkdir()
            view.dataset.save_as(tmp_path / "data" / "old" / "0.dcm", enforce_file_format=True)
    (tmp_path / "data" / "old" / "readme.txt").write_text("no image")
    return tmp_path / "data"


@pytest.mark.features("glam-node research guard-report")
def test_guard_report_counts_views_and_their_copies(folder: Path) -> None:
    report = json.loads(glam_node("research", "guard-report", folder, "--json").stdout)
    found = {(row["source"], row["view_position"], row["orientation"]): row for row in report["views"]}
    for view in ("CC", "MLO"):
        assert (found["vendor", view, "as stored"]["views"], found["vendor", view, "as stored"]["refused"]) == (2, 0)
        assert [found["vendor", view, copy]["refused"] for copy in TURNED] == [2, 2, 2, 2]
    assert found["vendor", "MLO", "upside down"]["refused"] == 2
    assert found["vendor", "CC", "upside down"]["passed"] == 2
    assert found["old", "CC", "upside down"]["remarked"] == 1
    assert [(row["source"], row["images"]) for row in report["unread"]] == [("old", 1)]


def test_guard_report_prints_a_table_and_reasons(folder: Path) -> None:
    told = glam_node("research", "guard-report", folder).stdout
    assert "turned by 270 degrees" in told
    assert "not read: old, 1 image: This is not a readable DICOM file" in told


def test_guard_report_reads_a_data_set() -> None:
    given = ("phantoms:0..0", "--option", "rows=520", "--option", "columns=400", "--json")
    report = json.loads(glam_node("research", "guard-report", *given).stdout)
    assert sum(row["views"] for row in report["views"] if row["orientation"] == "as stored") == 4


def test_guard_report_without_any_view_exits_with_1(tmp_path: Path) -> None:
    result = glam_node("research", "guard-report", tmp_path, expect=1)
    assert "No image could be read" in result.stdout
