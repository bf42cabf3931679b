"""Access to the console, over real HTTP and HTTPS."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.requests import Request

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.console.sessions import ATTEMPTS_OF_ADDRESS, LIFETIME, RETURN_COOKIE, WINDOW, page_to_return_to
from glam_node.node.db import accounts, audit
from glam_node.node.db.tables import SessionRow
from glam_node.node.domain.account import Role
from glam_node.node.domain.event import EventKind
from glam_node.node.errors import PermanentError
from glam_node.node.run.all_in_one import open_to_serve
from glam_node.node.run.supervisor import stop_together
from glam_node.node.workflow.operate.accounts import new_account, remove_account, set_account
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.builders import NOW
from tests.certificates import Authority
from tests.command_line import glam_node
from tests.integration.console.browser import Browser, listening
from tests.integration.node_directory import NodeDirectory, all_ready, write_node
from tests.ports import free_port
from tests.processes import Separate
from tests.waiting import wait_until

PASSWORD = "correct horse battery"


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, time: timedelta) -> None:
        self.moment += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a node with an account."""
    node = build_node(Settings(storage=StorageSettings(root=tmp_path / "root")))
    make_account(node)
    return node


@pytest.fixture
def browser(node: Node, clock: Clock) -> Iterator[Browser]:
    with listening(create_console(node, "127.0.0.1", now=clock)) as port:
        yield Browser(port)


def make_account(node: Node, password: str = PASSWORD) -> None:
    """Create the account of the operator anna."""
    with node.sessions.begin() as session:
        set_account(session, new_account("anna", Role.OPERATOR, password), NOW)


def told(node: Node, event: str) -> list[dict[str, Any]]:
    """Return the details of the recorded events."""
    with node.sessions() as session:
        return [dict(one.detail) for one in audit.recent(session, EventKind(event), 100)]


def is_let_in(browser: Browser) -> bool:
    status, page = browser.ask("/")
    assert status == 200
    return "<h1>Studies</h1>" in page


def test_a_person_with_the_password_sees_pages_until_signing_out(node: Node, browser: Browser) -> None:
    assert not is_let_in(browser)
    status, page = browser.sign_in("anna", PASSWORD)
    assert status == 200
    assert "anna (operator)" in page
    browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    assert not is_let_in(browser)
    assert [one["account"] for one in (*told(node, "signed_in"), *told(node, "signed_out"))] == ["anna", "anna"]


@pytest.mark.parametrize("path", ["/", "/studies/1.2.3", "/studies/1.2.3/4.5.6/grey.png"])
def test_pages_and_pictures_require_signing_in(browser: Browser, path: str) -> None:
    assert "<h1>Sign in</h1>" in browser.ask(path)[1]


def test_signing_in_leads_back_to_the_page_that_was_asked_for(browser: Browser) -> None:
    assert "Sign in" in browser.ask("/queue?a=1&b=2")[1]
    status, page = browser.sign_in("anna", PASSWORD)
    assert (status, "<h1>Queue" in page) == (200, True)
    browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    assert "<h1>Studies" in browser.sign_in("anna", PASSWORD)[1]


@pytest.mark.parametrize(
    ("stored", "page"),
    [
        ("/queue%3Fa%3D1", "/queue?a=1"),
        ("%2F%2Fevil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("https%3A//evil.example", "/"),
        ("/a%0D%0ASet-Cookie%3A b", "/"),
        ("", "/"),
    ],
)
def test_signing_in_does_not_lead_to_another_site(stored: str, page: str) -> None:
    headers = [(b"cookie", f"{RETURN_COOKIE}={stored}".encode())]
    assert page_to_return_to(Request({"type": "http", "headers": headers})) == page


def test_monitoring_needs_no_account(browser: Browser) -> None:
    assert browser.ask("/healthz") == (200, "ok\n")
    assert browser.ask("/metrics")[0] == 200


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong horse battery"), ("bert", PASSWORD), ("", "")])
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(browser: Browser, name: str, password: str) -> None:
    status, page = browser.sign_in(name, password)
    assert (status, "Name or password is wrong." in page) == (401, True)
    assert not is_let_in(browser)


def test_an_unknown_name_is_not_recorded(node: Node, browser: Browser) -> None:
    browser.sign_in("my secret password", "x")
    assert told(node, "sign_in_refused") == [{"address": "127.0.0.1", "account": ""}]


def test_the_right_password_is_refused_after_too_many_attempts(node: Node, browser: Browser, clock: Clock) -> None:
    for _ in range(ATTEMPTS_OF_ADDRESS):
        assert browser.sign_in("anna", "wrong")[0] == 401
    assert browser.sign_in("anna", PASSWORD)[0] == 429
    assert told(node, "sign_in_limited")
    clock.pass_by(WINDOW)
    assert browser.sign_in("anna", PASSWORD)[0] == 200


@pytest.mark.parametrize("form_token", ["", "0" * 64, "ü"])
def test_a_form_of_another_site_does_nothing(node: Node, browser: Browser, form_token: str) -> None:
    browser.ask("/sign-in")
    assert browser.ask("/sign-in", {"name": "anna", "password": PASSWORD, "form_token": form_token})[0] == 403
    browser.sign_in("anna", PASSWORD)
    assert browser.ask("/sign-out", {"form_token": form_token})[0] == 403
    assert is_let_in(browser)


def test_an_endless_form_is_not_read(browser: Browser) -> None:
    assert browser.ask("/sign-in", {"name": "a" * 100_000})[0] == 413


def test_a_cookie_from_before_signing_in_gives_no_access_afterwards(browser: Browser) -> None:
    browser.ask("/sign-in")
    before = browser.cookie
    browser.sign_in("anna", PASSWORD)
    assert browser.cookie.value != before.value
    before.name, before.path = browser.cookie.name, browser.cookie.path
    browser.jar.set_cookie(before)
    assert not is_let_in(browser)


def test_a_session_ends_after_its_lifetime_and_with_its_account(node: Node, browser: Browser, clock: Clock) -> None:
    browser.sign_in("anna", PASSWORD)
    for _ in range(int(LIFETIME / IDLE) * 2):
        assert is_let_in(browser)
        clock.pass_by(IDLE / 2)
    assert not is_let_in(browser)
    browser.sign_in("anna", PASSWORD)
    assert is_let_in(browser)
    make_account(node, "another password")
    assert not is_let_in(browser)


IDLE = timedelta(minutes=30)
"""The default of console.idle_timeout."""
LITTLE = timedelta(seconds=1)


def test_an_unused_session_ends(browser: Browser, clock: Clock) -> None:
    browser.sign_in("anna", PASSWORD)
    for _ in range(3):
        clock.pass_by(IDLE - LITTLE)
        assert is_let_in(browser)
    clock.pass_by(IDLE)
    status, page = browser.ask("/")
    assert (status, "Your session has ended: unused for 30 minutes" in page) == (200, True)
    browser.sign_in("anna", PASSWORD)
    assert is_let_in(browser)


def test_a_page_that_refreshes_itself_does_not_prolong_the_session(browser: Browser, clock: Clock) -> None:
    browser.sign_in("anna", PASSWORD)
    for _ in range(6):
        clock.pass_by(IDLE / 6 - LITTLE)
        assert "<h1>Sign in</h1>" not in browser.ask("/", live=True)[1]
        assert browser.ask("/session")[0] == 204
        browser.ask("/studies/1.2/1.3/grey.png")
    clock.pass_by(6 * LITTLE)
    assert "Your session has ended" in browser.ask("/", live=True)[1]
    assert browser.ask("/session")[0] == 401


def test_an_action_in_an_ended_session_does_nothing_and_reports_it(node: Node, browser: Browser, clock: Clock) -> None:
    browser.sign_in("anna", PASSWORD)
    form_token = browser.form_token("/")
    clock.pass_by(IDLE)
    for path in ("/studies/1.2/acts/hold", "/destinations/archive/echo", "/rules"):
        page = browser.ask(path, {"form_token": form_token, "reason": "x"})[1]
        assert "Your session has ended" in page
        assert "Nothing was done. Sign in again." in page
    assert told(node, "act_refused") == []


def test_the_idle_time_of_a_session_is_a_setting(tmp_path: Path, clock: Clock) -> None:
    console = ConsoleSettings(idle_timeout=60.0)
    node = build_node(Settings(storage=StorageSettings(root=tmp_path / "root"), console=console))
    make_account(node)
    with listening(create_console(node, "127.0.0.1", now=clock)) as port:
        browser = Browser(port)
        browser.sign_in("anna", PASSWORD)
        clock.pass_by(timedelta(seconds=60))
        assert "unused for 1 minute," in browser.ask("/")[1]


def test_a_session_its_forms_and_its_notice_outlive_the_console(node: Node, browser: Browser, clock: Clock) -> None:
    browser.sign_in("anna", PASSWORD)
    form = {"form_token": browser.form_token("/")}
    assert browser.redirected_from(f"{browser.url}/acts/retry-given-up", form) == "/?attention=given_up"
    with listening(create_console(node, "127.0.0.1", now=clock)) as port:
        browser.url = f"http://127.0.0.1:{port}"
        assert "Retry all: " in browser.ask("/")[1]
        assert "Retry all: " not in browser.ask("/")[1]
        assert browser.ask("/sign-out", form)[0] == 200
        assert not is_let_in(browser)


def test_a_start_of_the_node_ends_every_session(node: Node, browser: Browser) -> None:
    browser.sign_in("anna", PASSWORD)
    open_to_serve(node.settings)
    assert not is_let_in(browser)


def test_the_database_has_only_a_digest_of_the_token_and_of_the_password_hash(node: Node, browser: Browser) -> None:
    browser.sign_in("anna", PASSWORD)
    with node.sessions() as session:
        (row,) = session.scalars(select(SessionRow))
        hashed = accounts.get(session, "anna")
    assert hashed is not None
    assert (row.name, row.role) == ("anna", Role.OPERATOR)
    assert {browser.cookie.value, hashed.password_hash}.isdisjoint({row.token_digest, row.password_digest})


def test_pages_are_open_at_this_machine_while_there_is_no_account(node: Node, browser: Browser) -> None:
    with node.sessions.begin() as session:
        remove_account(session, "anna", NOW)
    assert is_let_in(browser)
    assert browser.ask("/sign-in")[0] == 404


def test_passwords_do_not_cross_a_network_in_plain_text(node: Node) -> None:
    with pytest.raises(PermanentError, match=r"console\.host 0\.0\.0\.0 .* Set console\.certificate and console\.key"):
        create_console(node, "0.0.0.0")


@pytest.fixture
def secured(authority: Authority, tmp_path: Path) -> NodeDirectory:
    """Return a node without accounts whose console other machines can reach by HTTPS."""
    signed, directory = authority.sign("console"), write_node(tmp_path / "secured")
    files = f"certificate = '{signed.certificate}'\nkey = '{signed.key}'\n"
    with directory.settings_path.open("a") as settings:
        settings.write(f"[console]\nhost = '0.0.0.0'\nport = {free_port()}\n{files}")
    directory.build().sessions.kw["bind"].dispose()
    return directory


@contextmanager
def serving(directory: NodeDirectory) -> Iterator[int]:
    """Run the console as a process, and yield its port."""
    child = Separate("console", directory.environment())
    try:
        wait_until(lambda: all_ready([child]))
        yield int(child.word or 0)
    finally:
        stop_together([child])


def test_other_machines_reach_the_console_by_https_and_an_account(secured: NodeDirectory, authority: Authority) -> None:
    with serving(secured) as port:
        browser = Browser(port, authority.sign("any").ca)
        assert browser.ask("/")[0] == browser.ask("/sign-in")[0] == 404
        arguments = ("console", "user", "add", "anna", "--role", "viewer", "--settings", secured.settings_path)
        glam_node(*arguments, text=f"{PASSWORD}\n")
        assert "anna (viewer)" in browser.sign_in("anna", PASSWORD)[1]
        assert browser.cookie.secure
        assert browser.cookie.has_nonstandard_attr("HttpOnly")
        assert browser.cookie.get_nonstandard_attr("SameSite") == "strict"
        glam_node("console", "user", "remove", "anna", "--settings", secured.settings_path)
        assert browser.ask("/")[0] == 404


def test_an_account_is_refused_if_its_password_would_cross_a_network_in_plain_text(tmp_path: Path) -> None:
    directory = write_node(tmp_path)
    with directory.settings_path.open("a") as settings:
        settings.write("[console]\nhost = '0.0.0.0'\nport = 8114\n")
    node = directory.build()
    arguments = ("console", "user", "add", "anna", "--settings", directory.settings_path)
    assert "console.certificate" in glam_node(*arguments, text=f"{PASSWORD}\n", expect=1).output
    with node.sessions() as session:
        assert not accounts.exist(session)


@pytest.mark.parametrize(("name", "password"), [("anna", "short"), ("anna", "x" * 1025), ("an na", PASSWORD)])
def test_an_invalid_account_is_refused(name: str, password: str) -> None:
    with pytest.raises(PermanentError):
        new_account(name, Role.VIEWER, password)


def test_the_password_is_stored_as_an_argon2id_hash() -> None:
    kept = new_account("anna", Role.VIEWER, PASSWORD).password_hash
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
