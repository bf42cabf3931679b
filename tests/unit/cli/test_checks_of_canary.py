"""Tests of what `glam-node doctor` says of canaries."""

import pytest

from glam_node.node.cli.checks import Verdict
from glam_node.node.cli.checks_of_peers import check_canary
from glam_node.settings.schema import Settings

ARCHIVE = {"ae_title": "ARCHIVE", "host": "10.0.0.5", "port": 104}
TOLD = {"webhook_url": "https://chat.example.org/hook"}


def settings(canary: dict[str, object], alerts: dict[str, str] | None = None) -> Settings:
    return Settings.model_validate({"destinations": {"archive": ARCHIVE}, "canary": canary, "alerts": alerts or {}})


def test_a_node_without_canaries_has_no_line_about_them() -> None:
    assert list(check_canary(settings({}))) == []


@pytest.mark.parametrize(
    ("canary", "alerts", "verdict", "words"),
    [
        ({"every": 3600.0}, TOLD, Verdict.WARN, "results to no destination"),
        ({"every": 3600.0, "destinations": ["archive"]}, None, Verdict.WARN, "results to destinations.archive"),
        ({"every": 3600.0, "destinations": ["archive"]}, TOLD, Verdict.OK, "one every 3600 s"),
    ],
)
def test_canaries_are_ok_if_their_results_go_somewhere_and_somebody_is_told(
    canary: dict[str, object], alerts: dict[str, str] | None, verdict: Verdict, words: str
) -> None:
    (check,) = check_canary(settings(canary, alerts))
    assert check.verdict is verdict
    assert words in check.fact
