"""Leaves out the tests whose third-party peers are not installed, says so, and makes that a failure in CI."""

import os
from collections import defaultdict

import pytest

from tests.peers import PEERS, missing_of

LEFT_OUT: pytest.StashKey[dict[str, list[str]]] = pytest.StashKey()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run, and remember it."""
    left_out: dict[str, list[str]] = defaultdict(list)
    for item in items:
        for name in missing_of(item):
            left_out[name].append(item.nodeid)
            item.add_marker(pytest.mark.skip(reason=f"{PEERS[name].package} is not installed"))
    config.stash[LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line per missing peer."""
    for name, nodeids in config.stash.get(LEFT_OUT, {}).items():
        terminalreporter.write_line(
            f"NOT RUN: {len(nodeids)} tests need {name} ({PEERS[name].package}): {', '.join(sorted(set(nodeids)))}",
            red=True,
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be left out."""
    if os.environ.get("CI") and session.config.stash.get(LEFT_OUT, {}) and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
