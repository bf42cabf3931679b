"""A browser, and a node with all states that the pages show."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, expect, sync_playwright

from glam_node.node.workflow.operate import accounts
from tests.integration.console.lived_in import LivedIn, console_of, lived_in
from tests.peers import PEERS

expect.set_options(timeout=20_000)
"""The timeout in milliseconds, long because the machine may be busy."""


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Hash passwords at the lowest cost, also by argon2id: at the usual cost each sign-in takes 0.2 s of CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


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
