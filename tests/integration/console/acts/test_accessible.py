"""Pages with buttons, and those that ask before they act, keep nobody out."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.integration.console.acts.test_clicks import sign_in, tab

pytestmark = pytest.mark.peer("chromium")


def serious(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whoever_may_act_is_kept_out_of_no_page(chromium: Browser, port: int, uid: str, scheme: str) -> None:
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
