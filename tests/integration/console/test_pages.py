"""Pages in Chromium: reading, searching and using controls; screenshots are stored under artefacts/."""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader
from sqlalchemy import insert

from glam_node.node.db import audit
from glam_node.node.db.tables import StudyRow
from glam_node.node.domain.event import EventKind
from glam_node.node.scp.access import Caller, admission
from glam_node.settings.peers import PeerSettings
from tests.integration.console.accessibility import serious
from tests.integration.console.lived_in import LivedIn

pytestmark = pytest.mark.peer("chromium")

SCREENSHOTS = Path(__file__).resolve().parents[3] / "artefacts" / "console"
PAGES = {
    "studies": "/",
    "study": "/studies/{reported}",
    "summary": "/studies/{reported}/summary",
    "running": "/studies/{running}",
    "ineligible": "/studies/{ineligible}",
    "queue": "/queue",
    "destinations": "/destinations",
    "refusals": "/refusals",
    "rules": "/rules",
    "nothing-found": "/?uid=9.9.9",
    "unknown": "/studies/1.2.3",
}
REFRESH_MS = 30_000
"""Milliseconds within which a refresh, which comes every five seconds, must have happened."""


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """Open a tab, and check that no page violates its own Content-Security-Policy."""
    context = chromium.new_context(base_url=address, permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert [text for text in said if "404" not in text] == []


def path_of(name: str, place: LivedIn) -> str:
    return PAGES[name].format(reported=place.reported, running=place.running, ineligible=place.ineligible)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible(page: Page, place: LivedIn, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(path_of(name, place))
    page.wait_for_load_state("networkidle")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
    # The dark scheme differs in colours only.
    options = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    assert serious(page, **options) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_width_of_a_phone(page: Page, place: LivedIn, name: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(path_of(name, place))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.screenshot(path=SCREENSHOTS / f"{name}-360.png", full_page=True)


def test_the_keyboard_skips_to_the_content(page: Page) -> None:
    page.goto("/queue")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()


def test_a_study_is_found_by_a_part_of_its_uid_and_opened(page: Page, place: LivedIn) -> None:
    page.goto("/")
    page.get_by_label("Study Instance UID, or a part of it").fill(place.reported[-12:])
    page.get_by_role("button", name="Search").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(page.locator("caption")).to_have_text("1 study found")
    expect(rows.locator("td.number").first).to_have_text(f"{100 * malignant_score(place):.0f} %")
    rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Study")
    expect(page.locator(".panel .uid").first).to_have_text(place.reported)
    expect(page.locator(".facts")).to_contain_text(f"Malignant{100 * malignant_score(place):.0f} %")


def test_a_reported_study_is_not_shown_as_delivered_while_a_result_waits(page: Page, place: LivedIn) -> None:
    page.goto("/")
    row = page.locator("tbody tr", has_text=place.reported)
    expect(row).to_contain_text("not delivered yet")
    page.get_by_role("link", name="1 not delivered yet").click()
    expect(page.locator("tbody th a")).to_have_text(place.reported)
    expect(page.locator("caption")).to_have_text("1 study found")


def test_the_list_can_start_with_the_oldest_study(page: Page) -> None:
    page.goto("/")
    newest_first = page.locator("tbody th a").all_inner_texts()
    page.get_by_label("Order").select_option("oldest first")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody th a")).to_have_text(newest_first[::-1])


def test_the_list_is_sorted_by_the_column_whose_head_is_clicked(page: Page) -> None:
    def states() -> list[str]:
        shown = page.locator("td[data-label=State] .state:first-child").all_inner_texts()
        return [state if state.isupper() else "REPORTED" for state in shown]  # others show their delivery instead

    page.goto("/")
    before = states()
    page.get_by_role("link", name="State", exact=True).click()
    expect(page).to_have_url(re.compile(r"order=state$"))
    expect(page.get_by_role("columnheader", name="State")).to_have_attribute("aria-sort", "ascending")
    assert states() == sorted(before)


def test_a_person_can_show_times_in_the_time_zone_of_the_browser(
    chromium: Browser, address: str, place: LivedIn
) -> None:
    page = chromium.new_context(base_url=address, timezone_id="America/New_York").new_page()
    page.goto("/")
    cell = page.locator("tbody time").first
    utc = cell.inner_text()
    page.get_by_role("button", name="Show local time").click()
    expect(cell).not_to_have_text(utc)
    expect(page.locator("footer")).to_contain_text("America/New_York")
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(ZoneInfo("America/New_York"))
    expect(cell).to_have_text(f"{at:%Y-%m-%d %H:%M:%S}")
    page.goto(f"/studies/{place.reported}")
    expect(page.get_by_role("button", name="Show UTC")).to_be_visible()
    page.get_by_role("button", name="Show UTC").click()
    expect(page.locator("footer")).to_contain_text("All times are UTC.")
    page.context.close()


def test_a_phone_shows_every_column_of_the_list(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    row = page.locator("tbody tr").first
    for cell in row.locator("td, th").all():
        expect(cell).to_be_visible()
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 360


def test_studies_are_found_by_state_rule_and_day(page: Page, place: LivedIn) -> None:
    page.goto("/")
    page.get_by_label("State").select_option("INELIGIBLE")
    page.get_by_label("Rule").select_option("no_mammography")
    page.get_by_label("Received from").fill("2000-01-01")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody th a")).to_have_text(place.ineligible)
    page.get_by_label("Received until").fill("2000-01-31")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#live")).to_contain_text("No study matches.")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(4)


def test_the_list_refreshes_keeps_typed_text_and_can_be_paused(page: Page, place: LivedIn) -> None:
    page.goto("/")
    field = page.get_by_label("Study Instance UID, or a part of it")
    field.fill("2.2")
    receive(place, "1.2.77")
    expect(page.get_by_role("link", name="1.2.77", exact=True)).to_be_visible(timeout=REFRESH_MS)
    expect(field).to_be_focused()
    expect(field).to_have_value("2.2")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Paused")
    forget(place, "1.2.77")
    page.wait_for_timeout(6_000)
    expect(page.get_by_role("link", name="1.2.77", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="1.2.77", exact=True)).to_have_count(0)


def test_a_long_list_has_pages_forward_and_back(page: Page, place: LivedIn) -> None:
    uids = [f"1.2.88.{number}" for number in range(120)]
    receive(place, *uids)
    try:
        page.goto("/?uid=1.2.88.")
        seen = [shown(page)]
        while page.get_by_role("link", name="Older").count():
            page.get_by_role("link", name="Older").click()
            expect(page.get_by_role("link", name="First page")).to_be_visible()
            seen.append(shown(page))
        assert [len(one) for one in seen] == [50, 50, 20]
        assert sorted(uid for one in seen for uid in one) == sorted(uids)
        page.get_by_role("link", name="Newer").click()
        page.wait_for_url("**newer**")
        assert shown(page) == seen[1]
    finally:
        forget(place, *uids)


def test_views_are_arranged_as_radiologists_hang_them_with_findings(page: Page, place: LivedIn) -> None:
    page.goto(f"/studies/{place.reported}")
    films = page.locator(".hung .film")
    expect(films).to_have_count(4)
    assert page.locator(".hung figcaption strong").all_inner_texts() == ["R CC", "L CC", "R MLO", "L MLO"]
    boxes = [film.bounding_box() for film in films.all()]
    right_cc, left_cc, right_mlo, _ = [box for box in boxes if box]
    assert right_cc["x"] < left_cc["x"]
    assert right_cc["y"] == left_cc["y"] < right_mlo["y"]
    for picture in page.locator(".hung img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def test_the_summary_shows_the_outlined_views_side_by_side_and_prints_on_one_page(page: Page, place: LivedIn) -> None:
    page.goto(f"/studies/{place.reported}")
    page.get_by_role("link", name="Summary to print").click()
    pictures = page.locator(".hung img")
    expect(pictures).to_have_count(4)
    for picture in pictures.all():
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    assert page.locator(".hung figcaption strong").all_inner_texts() == ["R CC", "L CC", "R MLO", "L MLO"]
    lefts = [box["x"] for picture in pictures.all() if (box := picture.bounding_box())]
    assert lefts == sorted(lefts)
    expect(page.get_by_role("region", name="Table of scores")).to_contain_text("All algorithms succeeded")
    printed = PdfReader(BytesIO(page.pdf(prefer_css_page_size=True, print_background=True))).pages
    assert len(printed) == 1
    text = printed[0].extract_text()
    assert "For research use" in text
    assert "Back to the study" not in text


def test_window_and_opacity_are_set_by_the_keyboard_and_survive_a_refresh(page: Page, place: LivedIn) -> None:
    page.goto(f"/studies/{place.reported}")
    opacity, width = page.get_by_label("Findings"), page.get_by_label("Window width")
    assert style_of(page, ".film .segments", "opacity") == "0.75"
    opacity.focus()
    page.keyboard.press("Home")
    width.focus()
    page.keyboard.press("Home")
    assert style_of(page, ".film .segments", "opacity") == "0"
    assert style_of(page, ".film .grey", "filter") == "brightness(1) contrast(20)"
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true", timeout=REFRESH_MS):
        pass
    expect(opacity).to_have_value("0")
    expect(width).to_be_focused()
    assert style_of(page, ".film .segments", "opacity") == "0"
    page.get_by_role("button", name="Reset").click()
    assert style_of(page, ".film .segments", "opacity") == "0.75"
    assert style_of(page, ".film .grey", "filter") == "brightness(1) contrast(1)"


def test_the_timeline_shows_every_step_and_the_table_every_sent_object(page: Page, place: LivedIn) -> None:
    page.goto(f"/studies/{place.reported}")
    told = page.locator("table.timeline tbody th").all_inner_texts()
    steps = ["first instance received", "last instance received", "complete", "decision: to be analysed"]
    assert told[:8] == [*steps, "claimed by a worker", "read", "segment", "write"]
    assert told[8:] == ["result written"] * 5 + ["analysed, results handed to delivery"] + ["delivered"] * 4 + [
        "delivery failed"
    ]
    expect(page.locator("table.timeline tbody tr").nth(1)).to_contain_text("1\u202f251 ms")
    sent = page.get_by_role("region", name="Table of objects sent").locator("tbody tr")
    expect(sent).to_have_count(5)
    expect(sent.last).to_contain_text("answered 0xA700 to C-STORE")


def test_the_queue_shows_the_job_of_each_worker_and_lost_workers(page: Page, place: LivedIn) -> None:
    page.goto("/queue")
    at_work, lost = page.get_by_role("region", name="Table of workers").locator("tbody tr").all()
    for words in ("gpu-1", "working", "cuda:0", "1.9 GB", "2.4 GB of 85.0 GB", "GLAM phantom-1", place.running):
        expect(at_work).to_contain_text(words)
    expect(lost).to_contain_text("not seen")
    expect(page.get_by_role("region", name="Table of waiting jobs").locator("tbody tr")).to_have_count(1)


def test_a_destination_shows_its_backlog_and_its_last_failure(page: Page) -> None:
    page.goto("/destinations")
    archive = page.locator("#destination-archive")
    for words in ("ARCHIVE at 10.0.0.9:104", "last delivery failed", "Free space there"):
        expect(archive).to_contain_text(words)
    expect(page.locator("#destination-trial")).to_contain_text("nothing sent yet")


def test_the_copied_settings_admit_the_rejected_peer(page: Page, place: LivedIn) -> None:
    page.goto("/refusals")
    page.get_by_role("button", name="Copy the settings for WORKSTATION_7 at 10.0.0.12").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    line = page.evaluate("navigator.clipboard.readText()")
    peers = {name: PeerSettings(**peer) for name, peer in tomllib.loads(line)["peers"].items()}
    caller, node = Caller("10.0.0.12"), place.node.settings
    assert admission("WORKSTATION_7", "GLAMNODE", caller, node.node, node.peers) is not None
    assert admission("WORKSTATION_7", "GLAMNODE", caller, node.node, {**node.peers, **peers}) is None


def test_the_navigation_leads_to_all_pages_and_marks_the_open_one(page: Page) -> None:
    page.goto("/")
    for name, heading in (("Queue", "Queue and workers"), ("Destinations", "Destinations"), ("Refusals", "Refusals")):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator("nav [aria-current]")).to_have_text(name)


def malignant_score(place: LivedIn) -> float:
    """Return the malignant score of the study, as its analysis recorded it."""
    with place.node.sessions() as session:
        told = audit.newest_of_studies(session, EventKind.JOB_SUCCEEDED, [place.reported])[place.reported]
    return float(told.detail["study_scores"]["malignant"])


def shown(page: Page) -> list[str]:
    """Return the UIDs on this page of the list."""
    return page.locator("tbody th a").all_inner_texts()


def style_of(page: Page, selector: str, name: str) -> str:
    """Return the computed style of the first such element."""
    value = page.locator(selector).first.evaluate("(element, name) => getComputedStyle(element)[name]", name)
    return str(value)


def receive(place: LivedIn, *uids: str) -> None:
    """Add studies that were received just now, one second apart."""
    now = datetime.now(UTC)
    rows = [
        {
            "study_instance_uid": uid,
            "state": "RECEIVING",
            "first_received_at": now,
            "receiving_since": now,
            "last_received_at": now - timedelta(seconds=number),
        }
        for number, uid in enumerate(uids)
    ]
    with place.node.sessions.begin() as session:
        session.execute(insert(StudyRow), rows)


def forget(place: LivedIn, *uids: str) -> None:
    """Delete the studies."""
    with place.node.sessions.begin() as session:
        for uid in uids:
            session.delete(session.get_one(StudyRow, uid))
