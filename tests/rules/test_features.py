"""Tests that every advertised feature is used by a test with a site's settings, and that docs/features.md lists it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import observed
from tests.features import PAGE, features, given, marked_tests, matching, page
from tests.generated import AGAIN


def test_every_setting_choice_and_command_has_a_test_that_starts_it() -> None:
    without = [feature for feature, tests in marked_tests().items() if not tests]
    assert without == [], (
        "let a test start glam-node with each of these, and mark it: @pytest.mark.features('...'), see CONTRIBUTING.md"
    )


def test_the_page_of_features_is_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), AGAIN


def test_every_kind_of_destination_result_rule_and_alert_is_a_feature() -> None:
    chosen = {
        "destinations.NAME.kind = stow-rs, mutual TLS",
        "destinations.NAME.results = not_analysed_report",
        "destinations.NAME.fallbacks.segmentation = secondary_capture",
        "rules.NAME.then = dry_run",
        "alerts.which = score_drift",
        "glam-node console user add",
    }
    assert chosen <= set(features())
    with pytest.raises(AssertionError, match="no such feature"):
        matching(("destinations.NAME.kind = fax",))


def test_a_setting_at_its_default_selects_nothing() -> None:
    tree = {"node": {"port": 11112}, "log": {"level": "info"}, "rules": {"one": {"when": "KVP > 20"}}}
    assert given(tree, {"GLAM_NODE__NODE__HOST": "127.0.0.1"}) == {
        "node.host",
        "log.level = info",
        "rules.NAME.when",
    }


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """Return the features that one command line uses."""

    def see(*arguments: str, **environment: str) -> set[str]:
        watching: list[set[str]] = [set()]
        monkeypatch.setattr(observed, "_watching", watching)
        observed.see(arguments, environment, Path("/"))
        return watching[0]

    return see


def test_settings_count_where_a_command_does_something_with_them(seen: Callable[..., set[str]], tmp_path: Path) -> None:
    path = str(tmp_path / "node.toml")
    Path(path).write_text('node.ae_title = "READER"\n')
    assert seen("--settings", path, "serve") == {"glam-node serve", "node.ae_title"}
    assert seen("worker", GLAM_NODE_SETTINGS=path) == {"glam-node worker", "node.ae_title"}
    assert seen("settings", "check", "--settings", path) == {"glam-node settings check"}
    assert seen("--help") == set()
