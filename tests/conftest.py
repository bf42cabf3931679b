"""Skipping of tests whose third-party peers are not installed; the summary names them, and in CI the run fails.

Tests that need a GPU are skipped and named too, but this is not a failure, because CI machines have no GPU.
"""

import os
from collections import defaultdict
from importlib import import_module

import pytest
from _pytest.terminal import TerminalReporter

from tests.observed import pytest_fixture_setup, pytest_runtest_call
from tests.peers import PEERS, missing_of
from tests.preloaded import end_server

__all__ = ["pytest_fixture_setup", "pytest_runtest_call"]

_REASON = "NOT RUN without "
_GPU = "a CUDA device"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that cannot run on this machine."""
    for item in items:
        for name in missing_of(item):
            item.add_marker(pytest.mark.skip(reason=f"{_REASON}{name}"))
    needing = [item for item in items if item.get_closest_marker("cuda")]
    if needing and not import_module("torch").cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=f"{_REASON}{_GPU}"))


def pytest_unconfigure() -> None:
    """End the fork server of this process."""
    end_server()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print one line for each missing peer, and one for all tests that need a GPU."""
    for name, nodeids in _left_out(terminalreporter).items():
        source = f" ({PEERS[name].package})" if name in PEERS else ""
        terminalreporter.write_line(
            f"NOT RUN: {len(nodeids)} tests need {name}{source}: {', '.join(sorted(set(nodeids)))}",
            red=name in PEERS,
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run in CI if tests were left out because a peer is missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter is not None and _left_out(reporter).keys() - {_GPU}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_out(reporter: TerminalReporter) -> dict[str, list[str]]:
    """Return the skipped tests by the peer that they need, from all worker processes."""
    tests: dict[str, list[str]] = defaultdict(list)
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple | list) else ""
        if _REASON in reason:
            tests[reason.partition(_REASON)[2]].append(report.nodeid)
    return tests
