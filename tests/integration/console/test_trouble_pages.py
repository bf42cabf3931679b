"""An open page whose visitor is signed out, and whose node stops."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.domain.account import Role
from glam_node.node.workflow.operate.accounts import new_account, set_account
from tests.builders import NOW
from tests.integration.console.accessibility import serious
from tests.integration.console.browser import listening
from tests.integration.console.lived_in import settings

pytestmark = pytest.mark.peer("chromium")

PASSWORD = "correct horse battery"
NEXT_ROUND_MS = 30_000
"""Milliseconds within which a refresh, which comes every five seconds, must have happened."""


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Return a node with an account."""
    node = build_node(settings(tmp_path_factory.mktemp("node") / "root"))
    with node.sessions.begin() as session:
        set_account(session, new_account("anna", Role.VIEWER, PASSWORD), NOW)
    return node


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def sign_in(page: Page, page_asked_for: str) -> None:
    """Sign in by the form, and expect the page that was asked for."""
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(page_asked_for)


def test_an_open_page_leads_to_the_form_after_signing_out_and_reports_a_stopped_node(node: Node, page: Page) -> None:
    with listening(create_console(node, "127.0.0.1")) as port:
        page.goto(f"http://127.0.0.1:{port}/queue")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert serious(page) == []
        sign_in(page, "Queue and workers")
        expect(page.locator("#live")).to_contain_text("No worker is running.")
        page.context.clear_cookies()
        page.wait_for_url("**/sign-in", timeout=NEXT_ROUND_MS)
        sign_in(page, "Queue and workers")
        page.get_by_role("link", name="Studies").click()
        expect(page.locator("#live")).to_contain_text("No study was received yet.")
        page.get_by_role("link", name="Queue").click()
        expect(page.locator("#live")).to_contain_text("No worker is running.")
    expect(page.get_by_role("status")).to_contain_text("The node does not answer", timeout=NEXT_ROUND_MS)
    expect(page.locator("#live")).to_contain_text("No worker is running.")


def test_a_page_reports_an_unreachable_database_with_the_remedy(node: Node, page: Page) -> None:
    with listening(create_console(node, "127.0.0.1")) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        sign_in(page, "Studies")
        database = node.settings.storage.root / "glam-node.sqlite"
        database.rename(database.with_suffix(".away"))
        node.sessions.kw["bind"].dispose()
        database.mkdir()
        answer = page.reload()
        assert answer is not None
        assert answer.status == 503
        expect(page.get_by_role("alert")).to_contain_text("does not answer: unable to open database file")
