"""Tests of `glam-node research evaluate` and `compare`: output, files and exit codes."""

from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.inference.findings import FindingKind
from glam_node.inference.package import read_package
from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import threshold_package
from tests.command_line import glam_node

SMALL = ("--option", "rows=104", "--option", "columns=80", "--bootstrap", "10", "--gallery", "0")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a package that scores brightness and needs no network."""
    return threshold_package(tmp_path / "package").path


@pytest.mark.features("glam-node research evaluate")
def test_evaluate_ends_with_the_path_of_the_report(package: Path, tmp_path: Path) -> None:
    given = ("--package", str(package), "--data", "phantoms:0..7", "--out", str(tmp_path / "out"))
    result = glam_node("research", "evaluate", *given, *SMALL)
    assert result.stdout.splitlines()[-1] == f"ok  measured; open {tmp_path / 'out' / 'report.html'}"
    assert "ROC AUC, breast" in result.stdout
    assert (tmp_path / "out" / "metrics.json").exists()


def test_evaluate_changes_the_package_only_on_request(package: Path, tmp_path: Path) -> None:
    given = ("--package", str(package), "--data", "phantoms:0:8", "--out", str(tmp_path))
    before = read_package(package)
    glam_node("research", "evaluate", *given, *SMALL)
    assert read_package(package) == before
    result = glam_node("research", "evaluate", *given, *SMALL, "--write-operating-points")
    assert "operating points for benign and malignant are in" in result.stdout
    assert read_package(package) != before


def test_write_reference_alone_writes_only_the_mean_scores(package: Path, tmp_path: Path) -> None:
    given = ("--package", str(package), "--data", "phantoms:0:8", "--out", str(tmp_path))
    before = read_package(package)
    result = glam_node("research", "evaluate", *given, *SMALL, "--keep-operating-points", "--write-reference")
    assert "ok  mean scores of benign and malignant are in" in result.stdout
    now = read_package(package)
    assert set(now.reference) == set(FindingKind)
    assert replace(now, reference={}) == before


@pytest.mark.features("glam-node research compare")
def test_compare_measures_all_packages_on_the_same_images(package: Path, tmp_path: Path) -> None:
    other = threshold_package(tmp_path / "other").path
    given = ("--data", "phantoms:0..7", "--out", str(tmp_path / "out"))
    result = glam_node("research", "compare", package, other, *given, *SMALL)
    assert result.stdout.splitlines()[-1] == f"ok  measured; open {tmp_path / 'out' / 'report.html'}"
    evaluated = ("--package", package, "--compare", other, "--data", "phantoms:0..7", "--out", tmp_path / "second")
    told = glam_node("research", "evaluate", *evaluated, *SMALL).stdout
    assert told.replace(str(tmp_path / "second"), str(tmp_path / "out")) == result.stdout


def test_compare_without_data_compares_what_evaluate_wrote(package: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        given = ("--package", package, "--data", "phantoms:0..7", "--out", tmp_path / name)
        glam_node("research", "evaluate", *given, *SMALL)
    result = glam_node("research", "compare", tmp_path / "first", tmp_path / "second", "--out", tmp_path / "out")
    assert result.stdout.splitlines()[-1] == f"ok  compared; {tmp_path / 'out' / 'comparison.json'}"
    assert "Threshold against Threshold (2)" in result.stdout
    told = glam_node("research", "compare", package, tmp_path / "first", "--out", tmp_path / "out", expect=2).stderr
    assert "has no results of research evaluate" in " ".join(told.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "phantoms"], "KIND:PATH"),
        (["--data", "nonsense:x"], "kinds are"),
        (["--data", "phantoms:0:8", "--validation", "nonsense"], "--validation"),
        (["--data", "phantoms:0:8", "--option", "rows"], "NAME=VALUE"),
        (
            ["--data", "phantoms:0:8", "--keep-operating-points", "--write-operating-points"],
            "chooses no operating points",
        ),
        (["--data", "phantoms:0:8", "--compare", "/nowhere"], "does not exist"),
    ],
)
def test_wrong_use_leads_to_a_message_and_exit_code_2(
    package: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    result = glam_node("research", "evaluate", "--package", str(package), "--out", str(tmp_path), *options, expect=2)
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("phantoms:0:1", "both are needed"),
        ("phantoms:x", "first:end"),
        ("folder:/nowhere", "labels.csv cannot be read"),
    ],
)
def test_unusable_data_lead_to_a_message_and_exit_code_1(package: Path, tmp_path: Path, data: str, words: str) -> None:
    given = ("--package", str(package), "--data", data, "--out", str(tmp_path))
    assert words in glam_node("research", "evaluate", *given, "--bootstrap", "0", expect=1).stderr


def test_a_directory_without_a_package_is_refused_before_the_measurement(tmp_path: Path) -> None:
    given = ("--package", str(tmp_path), "--data", "phantoms:0:8", "--out", str(tmp_path), "--write-operating-points")
    told = glam_node("research", "evaluate", *given, expect=2).stderr.replace("│", " ")
    assert "cannot be written" in " ".join(told.split())


def test_a_view_that_cannot_be_measured_is_named_and_the_exit_code_is_1(package: Path, tmp_path: Path) -> None:
    rows = ["sop_instance_uid,benign,malignant"]
    for seed in range(6):
        for view in make_exam(seed, rows=104, columns=80)[: 2 if seed else 1]:
            dataset = view.dataset
            if seed == 0:
                dataset.PixelData = b"\0\0"
            dataset.save_as(tmp_path / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
            rows.append(f"{dataset.SOPInstanceUID},{int(dataset.ImageLaterality == 'R')},0")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    given = ("--package", str(package), "--data", f"folder:{tmp_path}", "--out", str(tmp_path / "out"))
    result = glam_node("research", "evaluate", *given, "--bootstrap", "10", "--gallery", "0", expect=1)
    told = result.stdout.splitlines()
    assert [line for line in told if line.startswith("not measured: Threshold: ")]
    assert told[-1].startswith("1 view could not be measured")
