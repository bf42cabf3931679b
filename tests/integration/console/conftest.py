"""A browser, and a node with all states that the pages show."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.integration.console.lived_in import LivedIn, console_of, lived_in
from tests.peers import PEERS

expect.set_options(timeout=20_000)
"""The timeout in milliseconds, long because the machine may be busy."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium without a window; Playwright's own cannot be downloaded everywhere."""
    program = str(PEERS["chromium"].program)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> LivedIn:
    """Build a node with studies, results, refusals and workers."""
    return lived_in(tmp_path_factory.mktemp("node") / "root")


@pytest.fixture(scope="module")
def address(place: LivedIn) -> Iterator[str]:
    """Run the node's console and yield its address."""
    with console_of(place) as url:
        yield url
