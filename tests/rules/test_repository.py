"""Tests that the repository's files for contributors and users match the project."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from glam_node import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHON = "Programming Language :: Python :: "


def read(path: str) -> Any:
    """Return the content of a YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_workflow_tests_every_python_version_that_the_package_names() -> None:
    stated = [each.removeprefix(PYTHON) for each in PROJECT["classifiers"] if each.startswith(PYTHON)]
    job = read(".github/workflows/test.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == stated
    assert any(step.get("run", "").endswith(".ci/run") for step in job["steps"])


def test_the_citation_states_the_version_and_the_paper() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["year"] == 2021


def test_pre_commit_runs_the_programs_of_make_lint() -> None:
    (local,) = read(".pre-commit-config.yaml")["repos"]
    lint = re.search(r"^lint:.*?\n\n", (ROOT / "Makefile").read_text(), re.M | re.S)
    assert lint
    in_make = set(re.findall(r"\$\(BIN\)/(\S+)", lint[0]))
    assert {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in local["hooks"]} == in_make


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()), ids=lambda path: path.name)
def test_an_issue_form_has_a_name_a_description_and_labelled_fields(path: Path) -> None:
    form = read(str(path))
    assert form["name"]
    assert form["description"]
    assert all(field["type"] == "markdown" or field["attributes"]["label"] for field in form["body"])


def test_no_test_module_imports_another() -> None:
    imported = re.compile(r"^\s*(?:from|import) tests\..*\btest_\w+", re.MULTILINE)
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "tests").rglob("*.py")
        for line in imported.findall(path.read_text(encoding="utf-8"))
    }
    assert not found, "move what tests share to a module whose name does not begin with test_"
