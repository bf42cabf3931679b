"""The report that a run of benchmarks writes."""

from collections.abc import Callable, Iterator

import pytest
from _pytest.terminal import TerminalReporter

from tests.benchmarks.report import Report

Record = Callable[..., None]
_REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    """Start an empty report."""
    config.stash[_REPORT] = Report()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Write the report and print its path."""
    page = config.stash[_REPORT].write()
    if page is not None:
        terminalreporter.write_line(f"Figures of this machine: {page}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[Record]:
    """Return a function `(name, unit, *rounds)` that records a figure of the running benchmark."""
    report, benchmark = request.config.stash[_REPORT], request.node.nodeid.removeprefix("tests/benchmarks/")

    def record(name: str, unit: str, *rounds: float) -> None:
        report.add(benchmark, name, unit, *rounds)

    yield record
