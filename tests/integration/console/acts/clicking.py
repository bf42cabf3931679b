"""The console in Chromium, with a person who has signed in."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from tests.integration.console.acts.conftest import PASSWORD


@contextmanager
def tab(chromium: Browser, port: int, **options: object) -> Iterator[Page]:
    """Open the console in a new browser context."""
    context = chromium.new_context(base_url=f"http://127.0.0.1:{port}", **options)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(f"{name} (")).to_be_visible()
