"""Leaves out the tests whose third-party peers are not installed, says so, and makes that a failure in CI."""

import os
from collections import defaultdict

import pytest
from _pytest.terminal import TerminalReporter

from tests.peers import PEERS, missing_of

_REASON = "NOT RUN without "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run."""
    for item in items:
        for name in missing_of(item):
            item.add_marker(pytest.mark.skip(reason=f"{_REASON}{name}"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """One line per missing peer."""
    for name, nodeids in _left_out(terminalreporter).items():
        terminalreporter.write_line(
            f"NOT RUN: {len(nodeids)} tests need {name} ({PEERS[name].package}): {', '.join(sorted(set(nodeids)))}",
            red=True,
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter is not None and _left_out(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_out(reporter: TerminalReporter) -> dict[str, list[str]]:
    """Tests by the peer that they need, whichever process was to run them."""
    tests: dict[str, list[str]] = defaultdict(list)
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple | list) else ""
        if _REASON in reason:
            tests[reason.partition(_REASON)[2]].append(report.nodeid)
    return tests
