"""Tests of what `glam-node archive` says without an archive."""

from pathlib import Path

import pytest

from glam_node.node.cli.archive import _print_outcomes
from glam_node.node.workflow.receive.fetch_study import FetchOutcome
from tests.command_line import glam_node
from tests.integration.node_directory import write_node


def test_a_partial_fetch_says_what_the_node_does_with_the_images_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = write_node(tmp_path).build()
    _print_outcomes(
        [FetchOutcome("1.2.3", expected=4, stored=2, new=2, failures=()), FetchOutcome("4", 4, 0, 0, ())], node
    )
    said = capsys.readouterr().out
    assert "The node analyses what it has of study 1.2.3" in said
    assert "`glam-node study hold 1.2.3`" in said
    assert "what it has of study 4" not in said


def test_a_fetch_that_brings_nothing_new_promises_no_analysis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_outcomes([FetchOutcome("1.2.3", expected=4, stored=4, new=0, failures=())], write_node(tmp_path).build())
    assert capsys.readouterr().out.endswith("had all of it already; `glam-node study show 1.2.3` shows the results.\n")


def test_dates_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    settings.write_text('[sources.pacs]\nkind = "c-get"\n')
    dates = ("--study-date-from", "2026-02-01", "--study-date-to", "2026-01-01")
    refused = glam_node("--settings", settings, "archive", "query", "pacs", *dates, expect=2).output
    assert "--study-date-from is later than --study-date-to." in " ".join(refused.replace("│", " ").split())
