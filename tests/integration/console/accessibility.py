"""Checks of the accessibility of pages."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def serious(page: Page, **options: Any) -> list[tuple[str, str, list[str]]]:
    """Return rule, impact and elements of all serious and critical violations that axe-core finds."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    told = [(one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]]) for one in found]
    return [one for one in told if one[1] in ("serious", "critical")]
