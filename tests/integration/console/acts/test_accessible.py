"""Accessibility of pages with buttons and of confirmation pages."""

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.console.accessibility import serious
from tests.integration.console.acts.clicking import sign_in, tab

pytestmark = pytest.mark.peer("chromium")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_with_buttons_are_accessible(chromium: Browser, port: int, uid: str, scheme: str) -> None:
    with tab(chromium, port, color_scheme=scheme) as page:
        sign_in(page, "anna")
        for path in ("/destinations", "/rules", f"/studies/{uid}"):
            page.goto(path)
            assert serious(page) == [], path
        for act in ("Hold", "Set aside", "Try again"):
            page.goto(f"/studies/{uid}")
            page.get_by_role("button", name=act).first.click()
            expect(page.get_by_role("heading", name=f"{act}?")).to_be_visible()
            assert serious(page) == [], act
