"""Actions on pages, click by click in Chromium, and attempts of other sites to cause them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom.dataset import Dataset
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from glam_node.node.bootstrap import Node
from glam_node.node.console.app import create_console
from glam_node.node.console.oidc import CALLBACK
from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.study import Standing
from glam_node.node.domain.words import person_name
from tests.integration.console.acts.clicking import sign_in, tab
from tests.integration.console.acts.conftest import standing
from tests.integration.console.acts.oidc_site import OPERATOR, Site
from tests.integration.console.acts.provider import Provider
from tests.integration.console.browser import listening
from tests.ports import free_port
from tests.unit.workflow.workbench import Archive, Workbench

pytestmark = pytest.mark.peer("chromium")
expect.set_options(timeout=30_000)  # a machine may be busy


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def page(request: pytest.FixtureRequest, chromium: Browser, port: int) -> Iterator[Page]:
    """Open the console as anna, with and without scripts."""
    with tab(chromium, port, java_script_enabled=request.param) as page:
        sign_in(page, "anna")
        yield page


def events(node: Node, event: str) -> int:
    with node.sessions() as session:
        return len(audit.recent(session, EventKind(event), 100))


def test_a_study_is_held_and_released(node: Node, page: Page, uid: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=uid).click()
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_role("heading", name="Hold?")).to_be_visible()
    expect(page.get_by_text("until it is released")).to_be_visible()
    page.get_by_label("Reason").fill("a prior is awaited")
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_role("status").filter(has_text="the study is held")).to_be_visible()
    assert standing(node, uid) is Standing.HELD
    page.get_by_role("button", name="Release").click()
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("Release: the study is released")).to_be_visible()
    assert standing(node, uid) is Standing.FREE


def test_a_study_is_set_aside_with_a_reason_by_the_keyboard_alone(node: Node, page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}")
    page.get_by_role("button", name="Set aside").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Set aside?")).to_be_visible()
    page.get_by_label("Reason").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Set aside?")).to_be_visible()
    assert standing(node, uid) is Standing.FREE
    page.keyboard.type("ends every worker")
    page.keyboard.press("Enter")
    expect(page.get_by_text("no work is done on it until it is released")).to_be_visible()
    assert standing(node, uid) is Standing.SET_ASIDE


def test_cancelling_changes_nothing(node: Node, page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}")
    page.get_by_role("button", name="Hold").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("button", name="Hold")).to_be_visible()
    assert standing(node, uid) is Standing.FREE


def test_results_are_sent_again_and_failed_jobs_are_retried(bench: Workbench, page: Page, reported: str) -> None:
    page.goto(f"/studies/{reported}")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("2 results will be sent again")).to_be_visible()
    archive = Archive()
    bench.deliver(archive)
    page.get_by_role("button", name="Send results again").click()
    page.get_by_label("Destination").select_option("archive")
    page.get_by_label("Also send results that it already has").check()
    page.get_by_role("button", name="Send results again").click()
    expect(page.get_by_text("2 results will be sent to archive again")).to_be_visible()
    bench.deliver(archive)
    assert len(archive.received) == 4


def test_a_double_click_acts_once(node: Node, page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}")
    page.get_by_role("button", name="Hold").click()
    page.get_by_role("button", name="Hold").dblclick()
    expect(page.get_by_text("Hold: the study is held")).to_be_visible()
    assert events(node, "study_held") == 1


def test_a_form_after_going_back_reports_that_the_study_has_changed(node: Node, page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}")
    page.get_by_role("button", name="Hold").click()
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_text("Hold: the study is held")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("has changed since the page was made")).to_be_visible()
    assert events(node, "study_held") == 1


def test_a_c_echo_is_sent_by_a_click(node: Node, page: Page) -> None:
    page.goto("/destinations")
    page.get_by_role("button", name="C-ECHO to archive").click()
    expect(page.get_by_role("alert").filter(has_text="C-ECHO to archive")).to_be_visible()
    assert events(node, "destination_asked") == 1


def test_the_patient_is_shown_to_accounts_with_the_right(
    node: Node, bench: Workbench, chromium: Browser, port: int, exam: list[Dataset]
) -> None:
    bench.receive(exam[0])
    with tab(chromium, port) as page:
        sign_in(page, "carl")
        page.goto(f"/studies/{exam[0].StudyInstanceUID}")
        expect(page.get_by_text(person_name(str(exam[0].PatientName)))).to_have_count(0)
        page.get_by_role("button", name="Show patient").click()
        expect(page.get_by_text(person_name(str(exam[0].PatientName)))).to_be_visible()
    assert events(node, "identity_shown") == 2  # in the list, and here


def test_a_viewer_has_no_buttons(chromium: Browser, port: int, uid: str) -> None:
    with tab(chromium, port) as page:
        sign_in(page, "bert")
        page.goto(f"/studies/{uid}")
        expect(page.get_by_role("heading", name="Study")).to_be_visible()
        expect(page.get_by_role("button", name="Hold")).to_have_count(0)


@contextmanager
def of_another_site(html: str) -> Iterator[str]:
    """Serve a page on another site: browsers take another name of this machine for another site."""

    def answer(_: Request) -> Response:
        return HTMLResponse(html)

    with listening(Starlette(routes=[Route("/", answer)])) as port:
        yield f"http://localhost:{port}/"


def test_a_page_of_another_site_cannot_act(node: Node, chromium: Browser, port: int, uid: str) -> None:
    target = f"http://127.0.0.1:{port}/studies/{uid}/acts/hold"
    sent = "<script>document.forms[0].submit()</script>"
    form = f"<form method=post action='{target}'><input name=reason value=x></form>{sent}"
    with tab(chromium, port) as page, of_another_site(form) as trap:
        sign_in(page, "anna")
        page.goto(trap)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto("/")
        expect(page.get_by_text("anna (operator)")).to_be_visible()
    assert standing(node, uid) is Standing.FREE


def test_a_link_on_another_site_opens_the_console_for_a_person_who_is_signed_in(
    chromium: Browser, port: int, uid: str
) -> None:
    link = f"<a href='http://127.0.0.1:{port}/studies/{uid}'>the study</a>"
    with tab(chromium, port) as page, of_another_site(link) as mail:
        sign_in(page, "anna")
        page.goto(mail)
        page.get_by_role("link").click()
        expect(page.get_by_role("button", name="Hold")).to_be_visible()
    with tab(chromium, port) as page, of_another_site(link) as mail:
        page.goto(mail)
        page.get_by_role("link").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_another_site_cannot_put_a_page_into_a_frame(chromium: Browser, port: int, uid: str) -> None:
    frame = f"<iframe src='http://127.0.0.1:{port}/studies/{uid}/acts/hold'></iframe>"
    with tab(chromium, port) as page, of_another_site(frame) as trap:
        sign_in(page, "anna")
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(trap, wait_until="networkidle")
        inner = page.frames[1]
        assert inner.get_by_role("button").count() == 0
        assert any("frame" in text.lower() for text in said)


@pytest.mark.parametrize("is_paused", [False, True], ids=["live", "paused"])
def test_an_unused_page_leaves_the_screen(chromium: Browser, port: int, bench: Workbench, is_paused: bool) -> None:
    with tab(chromium, port) as page:
        page.clock.install()
        sign_in(page, "anna")
        if is_paused:
            page.get_by_role("button", name="Pause").click()
        bench.clock.turn(1800.0)
        page.clock.fast_forward(61_000 if is_paused else 6_000)
        expect(page.get_by_text("Your session has ended: unused for 30 minutes")).to_be_visible()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_person_of_the_hospital_signs_in_by_one_click(chromium: Browser, tmp_path: Path) -> None:
    provider, port = Provider(person=OPERATOR, redirect_uris=set()), free_port()
    with listening(provider.app()) as its_port:
        # Another name of this machine counts as another site, like the provider of a hospital.
        site = Site(tmp_path, port, f"http://localhost:{its_port}")
        provider.redirect_uris.add(f"http://127.0.0.1:{port}{CALLBACK}")
        with listening(create_console(site.node, "127.0.0.1"), port), tab(chromium, port) as page:
            page.goto("/")
            page.get_by_role("link", name="Sign in with").click()
            expect(page.get_by_text("oidc:anna (operator)")).to_be_visible()
            expect(page.get_by_role("heading", name="Studies")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            assert [one["sub"] for one in provider.signed_out] == [OPERATOR["sub"]]
            assert page.url == f"http://127.0.0.1:{port}/sign-in"
    site.node.sessions.kw["bind"].dispose()
