"""Pictures: drawn once, cached by server and browser, and shown only to people who are signed in."""

import re
import urllib.error
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from glam_node.node.bootstrap import Node
from glam_node.node.workflow.operate.retention import RetentionPolicy, retire
from tests.integration.console.acts.clicking import sign_in, tab
from tests.integration.console.acts.conftest import PASSWORD
from tests.integration.console.browser import Browser
from tests.unit.workflow.workbench import Archive, Workbench


@dataclass(frozen=True)
class Answer:
    """The answer to a browser's request."""

    status: int
    body: bytes
    etag: str
    caching: str


def asked(browser: Browser, path: str, etag: str = "") -> Answer:
    headers = {"If-None-Match": etag} if etag else {}
    try:
        with browser.open(path, headers=headers) as answer:
            return Answer(answer.status, answer.read(), answer.headers["ETag"], answer.headers["Cache-Control"])
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(), error.headers["ETag"] or "", error.headers["Cache-Control"])


@pytest.fixture
def bert(port: int) -> Browser:
    """Return a signed-in viewer's browser."""
    browser = Browser(port)
    assert browser.sign_in("bert", PASSWORD)[0] == 200
    return browser


def addresses(browser: Browser, uid: str) -> dict[str, str]:
    """Return the addresses of the pictures on the study's page, by layer."""
    page = browser.ask(f"/studies/{uid}")[1].replace("&amp;", "&")
    return {found[1]: found[0] for found in re.findall(r'"(/studies/[\d./]+/(\w+)\.png[^"]*)"', page)}


def kept(node: Node) -> list[Path]:
    return sorted((node.store.root / "pictures").rglob("*.png"))


def test_a_second_visit_is_answered_without_the_picture(
    node: Node, bench: Workbench, reported: str, bert: Browser
) -> None:
    paths = addresses(bert, reported)
    assert paths.keys() == {"grey", "segments", "captioned"}
    first = {layer: asked(bert, path) for layer, path in paths.items()}
    assert {(one.status, one.caching) for one in first.values()} == {(200, "private, max-age=1800")}
    assert len({one.etag for one in first.values()}) == len(kept(node)) == 3
    assert {path.stat().st_mode & 0o777 for path in kept(node)} == {0o600}
    (source,) = node.store.root.glob("instances/*/*.dcm")
    source.unlink()
    for layer, path in paths.items():
        assert asked(bert, path) == first[layer]
        again = asked(bert, path, first[layer].etag)
        assert (again.status, again.body, again.etag) == (304, b"", first[layer].etag)
    old = asked(bert, paths["grey"].partition("?")[0])
    assert (old.status, old.caching) == (200, "private, no-cache"), "without its edition a browser asks each time"
    kept(node)[0].unlink()
    assert sorted(asked(bert, path).status for path in paths.values()) == [200, 200, 404]


def test_a_picture_is_drawn_again_after_another_analysis(
    bench: Workbench, reported: str, bert: Browser, exam: list[Dataset]
) -> None:
    paths = addresses(bert, reported)
    before = {layer: asked(bert, path) for layer, path in paths.items()}
    late = exam[0]
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    (job,) = bench.submitted_again(late)
    assert asked(bert, paths["segments"]) == before["segments"], "nothing was found yet"
    assert bench.run(job)
    now = {layer: asked(bert, path, before[layer].etag) for layer, path in paths.items()}
    assert {layer: one.status for layer, one in now.items()} == {"grey": 304, "segments": 200, "captioned": 200}
    assert {one.caching for one in now.values()} == {"private, no-cache"}, "the edition is an old one"
    assert set(addresses(bert, reported).values()).isdisjoint(paths.values())


def test_pictures_are_removed_with_their_study(
    node: Node, bench: Workbench, bert: Browser, exam: list[Dataset]
) -> None:
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive())
    paths = addresses(bert, exam[1].StudyInstanceUID)
    for path in paths.values():
        asked(bert, path)
    assert len(kept(node)) == 3
    bench.clock.turn(timedelta(minutes=5).total_seconds())
    policy = RetentionPolicy(timedelta(minutes=1), 0)
    assert retire(node.sessions, node.store, policy, bench.clock()) == 1
    assert kept(node) == []
    assert {asked(bert, path).status for path in paths.values()} == {404}
    assert kept(node) == []


def test_an_etag_gives_no_access(reported: str, bert: Browser, port: int) -> None:
    path = addresses(bert, reported)["grey"]
    known = asked(bert, path)
    stranger = Browser(port)
    assert stranger.redirected(path) == "/sign-in"
    assert b"Sign in" in asked(stranger, path, known.etag).body


def sizes(page: Page) -> list[int]:
    """Return the transferred bytes of each picture on the page; 0 for one from the browser's cache."""
    script = "performance.getEntriesByType('resource').filter(e => e.name.includes('.png')).map(e => e.transferSize)"
    return list(page.evaluate(script))


@pytest.mark.peer("chromium")
def test_a_browser_loads_pictures_once_and_forgets_them_at_sign_out(
    chromium: Chromium, port: int, reported: str
) -> None:
    with tab(chromium, port) as page:
        sign_in(page, "bert")
        page.goto(f"/studies/{reported}", wait_until="networkidle")
        assert len(sizes(page)) == 2
        assert min(sizes(page)) > 0
        page.goto("/")
        page.goto(f"/studies/{reported}", wait_until="networkidle")
        assert sizes(page) == [0, 0]
        grey = page.locator("img.grey").get_attribute("src")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        answer = page.goto(str(grey))
        assert answer is not None
        assert "/sign-in" in answer.url
