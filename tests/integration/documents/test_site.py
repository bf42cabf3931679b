"""Tests of the documents as web pages."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glam_node.inference.card import DEFAULT_PACKAGE, card_table
from glam_node.inference.package import read_package
from glam_node.node.observe.metrics import METRICS
from glam_node.settings.keys import keys

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the pages, after a build without warnings."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def words(page: Path) -> str:
    """Return the text that a reader sees."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_setting_is_in_the_reference(site: Path) -> None:
    page = words(site / "settings" / "index.html")
    assert [key.dotted for key in keys().values() if key.dotted not in page] == []


def test_every_metric_is_in_the_reference(site: Path) -> None:
    page = words(site / "metrics" / "index.html")
    assert [metric.name for metric in METRICS if metric.name not in page or metric.meaning not in page] == []


def test_the_card_of_the_package_that_ships_is_a_page(site: Path) -> None:
    page, package = words(site / "model-card" / "index.html"), read_package(DEFAULT_PACKAGE)
    stated = [package.algorithm_version, package.weights_sha256, *card_table(package.card).values()]
    assert len(stated) > 8
    assert [value for value in stated if isinstance(value, str) and value not in page] == []
    for point in package.operating_points.values():
        assert f"image_score_threshold {point.image_score_threshold:g}" in page


def test_the_conformance_statement_and_the_deployment_are_pages(site: Path) -> None:
    assert "As a requestor of associations" in words(site / "conformance" / "index.html")
    assert "Upgrade and roll back" in words(site / "deployment" / "index.html")


def test_every_page_is_reached_from_the_navigation(site: Path) -> None:
    pages = {path.parent.name for path in site.glob("*/index.html")}
    first = (site / "index.html").read_text(encoding="utf-8")
    assert {page for page in pages if f'href="{page}/"' not in first} <= {"assets", "search"}


def test_no_page_asks_another_machine_for_anything(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text(encoding="utf-8")
        )
        assert loaded == [], page
