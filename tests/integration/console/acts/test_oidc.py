"""Signing in at an OpenID provider, over real HTTP with real signatures."""

import html
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey

from glam_node.node.console.app import create_console
from glam_node.node.console.oidc import CALLBACK
from glam_node.node.domain.account import Role
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.accounts import new_account, set_account
from glam_node.settings.load import SettingsError, load_settings
from tests.builders import NOW
from tests.certificates import Authority
from tests.integration.console.acts.oidc_site import OPERATOR, Site
from tests.integration.console.acts.provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from tests.integration.console.browser import Browser, listening
from tests.integration.mock_provider import mock_provider, registered
from tests.ports import free_port


@contextmanager
def site_of(
    root: Path, issuer: str, provider: Provider | None = None, **settings: Any
) -> Iterator[tuple[Site, Browser]]:
    port = free_port()
    site = Site(root, port, issuer, **settings)
    if provider is not None:
        provider.redirect_uris.add(f"http://127.0.0.1:{port}{CALLBACK}")
    with listening(create_console(site.node, "127.0.0.1"), port):
        yield site, Browser(port)
    site.node.sessions.kw["bind"].dispose()


@pytest.fixture
def provider() -> Provider:
    return Provider(person=OPERATOR)


@pytest.fixture
def issuer(provider: Provider) -> Iterator[str]:
    with running(provider) as issuer:
        yield issuer


@pytest.fixture
def signing(tmp_path: Path, issuer: str, provider: Provider) -> Iterator[tuple[Site, Browser]]:
    with site_of(tmp_path, issuer, provider) as pair:
        yield pair


def is_let_in(browser: Browser) -> bool:
    return "<h1>Studies</h1>" in browser.ask("/")[1]


def test_a_person_of_the_provider_signs_in_with_the_role_of_the_groups(signing: tuple[Site, Browser]) -> None:
    site, browser = signing
    assert not is_let_in(browser)
    assert 'href="/sign-in/oidc"' in browser.ask("/sign-in")[1]
    assert browser.ask("/sign-in/oidc")[0] == 200
    assert "oidc:anna (operator)" in browser.ask("/")[1]
    assert [one["account"] for one in site.told("signed_in")] == ["oidc:anna"]
    browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    assert not is_let_in(browser)


def signed_out(browser: Browser) -> str:
    """Return the address to which the answer to the sign-out button leads."""
    status, page = browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    assert status == 200
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found
    return html.unescape(found[1])


def test_signing_out_here_signs_out_at_the_provider(signing: tuple[Site, Browser], provider: Provider) -> None:
    site, browser = signing
    browser.ask("/sign-in/oidc")
    target = signed_out(browser)
    assert not is_let_in(browser)
    assert browser.redirected_from(target) == f"http://127.0.0.1:{site.port}/sign-in"
    (there,) = provider.signed_out
    assert (there["sub"], there["client_id"], there["realm"]) == ("4711", CLIENT_ID, "one")
    assert [one["account"] for one in site.told("signed_out")] == ["oidc:anna"]


@pytest.mark.parametrize("endpoint", [None, 7])
def test_a_provider_without_sign_out_is_reported(
    signing: tuple[Site, Browser], provider: Provider, issuer: str, endpoint: Any
) -> None:
    _, browser = signing
    provider.signs_out, provider.wrong_metadata = False, {"end_session_endpoint": endpoint} if endpoint else {}
    browser.ask("/sign-in/oidc")
    assert f"signed out here, but not at {issuer}" in browser.ask(signed_out(browser))[1]
    assert not is_let_in(browser)


def test_an_id_token_too_long_for_a_url_is_not_sent(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.person = OPERATOR | {"groups": ["mammography", *[f"group {number}" for number in range(1000)]]}
    browser.ask("/sign-in/oidc")
    assert set(parse_qs(urlsplit(signed_out(browser)).query)) == {"realm", "client_id", "post_logout_redirect_uri"}


def test_a_local_account_does_not_sign_out_at_the_provider(signing: tuple[Site, Browser], provider: Provider) -> None:
    site, browser = signing
    with site.node.sessions.begin() as session:
        set_account(session, new_account("bert", Role.VIEWER, "correct horse battery"), NOW)
    browser.sign_in("bert", "correct horse battery")
    assert "<h1>Sign in</h1>" in browser.ask("/sign-out", {"form_token": browser.form_token("/")})[1]
    assert provider.signed_out == []


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ({"sub": "1", "groups": "staff"}, "oidc:1 (viewer)"),
        ({"sub": "1", "preferred_username": "b\u0000\u202eert", "groups": ["staff"]}, "oidc:b??ert (viewer)"),
    ],
)
def test_a_groups_claim_may_be_one_text_and_names_are_escaped(
    signing: tuple[Site, Browser], provider: Provider, person: dict[str, Any], words: str
) -> None:
    _, browser = signing
    provider.person = person
    browser.ask("/sign-in/oidc")
    assert words in browser.ask("/")[1]


def test_the_groups_claim_may_be_nested(tmp_path: Path, issuer: str, provider: Provider) -> None:
    provider.person = {"sub": "1", "realm_access": {"roles": ["mammography"]}}
    with site_of(tmp_path, issuer, provider, roles_claim="realm_access.roles") as (_, browser):
        browser.ask("/sign-in/oidc")
        assert "oidc:1 (operator)" in browser.ask("/")[1]


def test_groups_are_read_from_userinfo_if_the_token_lacks_them(
    signing: tuple[Site, Browser], provider: Provider
) -> None:
    _, browser = signing
    provider.person, provider.userinfo = {"sub": "1"}, {"groups": ["staff"]}
    browser.ask("/sign-in/oidc")
    assert "oidc:1 (viewer)" in browser.ask("/")[1]


def test_userinfo_of_another_person_is_ignored(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.person, provider.userinfo = {"sub": "1"}, {"sub": "2", "groups": ["mammography"]}
    assert "has no role here" in browser.ask("/sign-in/oidc")[1]


@pytest.mark.parametrize("groups", [[], None, ["cardiology"], {"mammography": True}])
def test_a_person_without_a_role_gets_a_message(signing: tuple[Site, Browser], provider: Provider, groups: Any) -> None:
    site, browser = signing
    provider.person = {"sub": "1", "preferred_username": "bert", "groups": groups}
    status, page = browser.ask("/sign-in/oidc")
    assert (status, "bert has no role here" in page) == (403, True)
    assert not is_let_in(browser)
    (refused,) = site.told("sign_in_refused")
    assert refused["person"] == "bert"
    assert "console.oidc.viewers" in refused["failure"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another-client"},
        {"iss": "http://127.0.0.1:1"},
        {"nonce": "of another time"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"sub": None},
    ],
    ids=["audience", "issuer", "nonce", "no nonce", "expired", "no expiry", "no subject"],
)
def test_an_id_token_for_another_client_is_refused(
    signing: tuple[Site, Browser], provider: Provider, wrong: dict[str, Any]
) -> None:
    _, browser = signing
    provider.wrong_claims = wrong
    status, page = browser.ask("/sign-in/oidc")
    assert (status, "cannot be trusted" in page) == (403, True)
    assert not is_let_in(browser)


def test_an_id_token_with_a_foreign_signature_is_refused(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.stranger = RSAKey.generate_key(2048, {"kid": "one"})
    assert "cannot be trusted" in browser.ask("/sign-in/oidc")[1]
    assert not is_let_in(browser)


@pytest.mark.filterwarnings("ignore:JWS algorithm")  # of the library, which the provider signs with
@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_an_id_token_without_a_signature_of_the_provider_is_refused(
    signing: tuple[Site, Browser], provider: Provider, algorithm: str
) -> None:
    _, browser = signing
    provider.stranger = OctKey.import_key(CLIENT_SECRET * 2, {"kid": "one"})
    provider.header = {"alg": algorithm}
    provider.wrong_metadata = {"id_token_signing_alg_values_supported": [algorithm]}
    assert "cannot be trusted" in browser.ask("/sign-in/oidc")[1]
    assert not is_let_in(browser)


def test_a_discovery_document_does_not_decide_how_the_provider_is_asked(
    signing: tuple[Site, Browser], provider: Provider
) -> None:
    _, browser = signing
    provider.wrong_metadata = {"proxies": {"http": "http://127.0.0.1:1"}, "verify": False, "scope": "all", "jwks": {}}
    assert "scope=openid+profile&" in browser.redirected("/sign-in/oidc")
    browser.ask("/sign-in/oidc")
    assert is_let_in(browser)


def sign_out(browser: Browser) -> None:
    browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    assert not is_let_in(browser)


def test_a_new_key_with_the_name_of_the_old_one_is_loaded(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    browser.ask("/sign-in/oidc")
    sign_out(browser)
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    browser.ask("/sign-in/oidc")
    assert is_let_in(browser)


def test_a_provider_that_moves_is_found_without_a_restart(
    signing: tuple[Site, Browser], provider: Provider, issuer: str
) -> None:
    _, browser = signing
    browser.ask("/sign-in/oidc")
    sign_out(browser)
    provider.asked.clear()
    places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
    provider.wrong_metadata = {key: f"{issuer}/moved/{place}" for key, place in places.items()}
    assert browser.redirected("/sign-in/oidc").startswith(f"{issuer}/moved/authorize?")
    browser.ask("/sign-in/oidc")
    assert is_let_in(browser)
    assert [one for one in provider.asked if one != "metadata"] == ["moved/token", "moved/jwks"]


def test_a_person_is_signed_out_here_while_the_provider_is_down(tmp_path: Path, provider: Provider) -> None:
    with ExitStack() as while_up:
        issuer = while_up.enter_context(running(provider))
        with site_of(tmp_path, issuer, provider) as (_, browser):
            browser.ask("/sign-in/oidc")
            assert is_let_in(browser)
            while_up.close()
            assert f"signed out here, but not at {issuer}" in browser.ask(signed_out(browser))[1]
            assert not is_let_in(browser)


def test_a_silent_provider_does_not_hold_up_the_pages(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=128) as silent,
        site_of(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=10.0) as (site, browser),
        ThreadPoolExecutor(60) as people,
    ):
        asked = [people.submit(Browser(site.port).ask, "/sign-in/oidc") for _ in range(60)]
        refused = next(one for one in as_completed(asked))
        assert refused.result()[0] == 503
        assert browser.ask("/sign-in")[0] == 200
        assert {one.result()[0] for one in asked} == {502, 503}


def test_new_keys_of_the_provider_are_loaded(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    browser.ask("/sign-in/oidc")
    browser.ask("/sign-out", {"form_token": browser.form_token("/")})
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    browser.ask("/sign-in/oidc")
    assert is_let_in(browser)
    assert provider.asked.count("jwks") == 2


def test_an_unknown_key_is_looked_up_only_once(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.header = {"kid": "unknown"}
    assert "cannot be trusted" in browser.ask("/sign-in/oidc")[1]
    assert provider.asked.count("jwks") == 2


def test_a_callback_that_this_browser_did_not_start_is_refused(
    signing: tuple[Site, Browser], provider: Provider
) -> None:
    site, browser = signing
    provider.answer = {"code": "code0"}
    assert "not started in this browser" in browser.ask(f"{CALLBACK}?state=x&code=code0")[1]
    other = Browser(site.port)
    way = other.redirected("/sign-in/oidc")
    back = browser.redirected_from(way)
    assert "not started in this browser" in browser.ask(back.removeprefix(browser.url))[1]
    assert not is_let_in(browser)
    assert site.told("sign_in_refused") == []


def test_a_callback_signs_in_only_once(signing: tuple[Site, Browser]) -> None:
    _, browser = signing
    back = browser.redirected_from(browser.redirected("/sign-in/oidc")).removeprefix(browser.url)
    assert "Continue" in browser.ask(back)[1]
    assert "not started in this browser" in browser.ask(back)[1]


@pytest.mark.parametrize(("minutes", "is_in_time"), [(9, True), (11, False)])
def test_a_started_sign_in_outlives_the_console_for_ten_minutes(
    signing: tuple[Site, Browser], minutes: int, is_in_time: bool
) -> None:
    site, browser = signing
    back = browser.redirected_from(browser.redirected("/sign-in/oidc")).removeprefix(browser.url)
    later = datetime.now(UTC) + timedelta(minutes=minutes)
    with listening(create_console(site.node, "127.0.0.1", now=lambda: later)) as port:
        browser.url = f"http://127.0.0.1:{port}"
        assert ("Continue" in browser.ask(back)[1]) is is_in_time
        assert is_let_in(browser) is is_in_time


def test_a_refusal_of_the_provider_is_shown(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.answer = {"error": "access_denied"}
    assert "it answered access_denied" in browser.ask("/sign-in/oidc")[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"issuer": "http://127.0.0.1:1"}, "cannot be reached"),
        ({"client_secret_path": "WRONG"}, "does not accept this client id and secret"),
        ({"client_secret_path": "MISSING"}, "cannot be read: No such file"),
    ],
)
def test_a_wrong_provider_setting_is_reported_with_the_remedy(
    tmp_path: Path, issuer: str, provider: Provider, settings: dict[str, Any], words: str
) -> None:
    (tmp_path / "WRONG").write_text("wrong")
    if "client_secret_path" in settings:
        settings = {"client_secret_path": tmp_path / settings["client_secret_path"]}
    with site_of(tmp_path, settings.pop("issuer", issuer), provider, **settings) as (_, browser):
        status, page = browser.ask("/sign-in/oidc")
        assert status in (403, 502)
        assert words in page
        assert "console.oidc" in page
        assert CLIENT_SECRET not in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"issuer": "http://elsewhere"}, "to the last slash"),
        ({"token_endpoint": None}, "does not name its token_endpoint"),
    ],
)
def test_a_discovery_document_that_does_not_fit_is_reported(
    signing: tuple[Site, Browser], provider: Provider, wrong: dict[str, Any], words: str
) -> None:
    _, browser = signing
    provider.wrong_metadata = wrong
    status, page = browser.ask("/sign-in/oidc")
    assert (status, words in page) == (502, True)
    provider.wrong_metadata = {}
    browser.ask("/sign-in/oidc")
    assert is_let_in(browser)


def test_an_unregistered_redirect_uri_does_not_lead_back(signing: tuple[Site, Browser], provider: Provider) -> None:
    _, browser = signing
    provider.redirect_uris.clear()
    assert browser.ask("/sign-in/oidc") == (400, "this client or redirect URI is not registered")


def test_a_provider_with_an_untrusted_certificate_is_refused(
    tmp_path: Path, authority: Authority, provider: Provider
) -> None:
    signed = authority.sign("provider")
    port = free_port()
    with listening(provider.app(), port, ssl_certfile=signed.certificate, ssl_keyfile=signed.key):
        with site_of(tmp_path, f"https://127.0.0.1:{port}", provider) as (_, browser):
            assert "cannot be trusted: its certificate" in browser.ask("/sign-in/oidc")[1]
        with site_of(tmp_path, f"https://127.0.0.1:{port}", provider, ca=signed.ca) as (site, browser):
            # The console trusts the authority; the test's own client does not.
            assert browser.redirected("/sign-in/oidc").startswith(f"https://127.0.0.1:{port}/authorize?")
            assert len(site.told("sign_in_refused")) == 1


@pytest.mark.parametrize("endpoint", ["token_endpoint", "userinfo_endpoint"])
def test_a_provider_with_an_endpoint_in_plain_http_is_refused(
    tmp_path: Path, authority: Authority, provider: Provider, endpoint: str
) -> None:
    signed = authority.sign("provider")
    port = free_port()
    provider.wrong_metadata = {endpoint: f"http://127.0.0.1:{port}/plain"}
    with (
        listening(provider.app(), port, ssl_certfile=signed.certificate, ssl_keyfile=signed.key),
        site_of(tmp_path, f"https://127.0.0.1:{port}", provider, ca=signed.ca) as (_, browser),
    ):
        assert f"{endpoint} in plain HTTP" in browser.ask("/sign-in/oidc")[1]


def test_local_accounts_remain_and_cannot_have_names_of_provider_accounts(
    signing: tuple[Site, Browser],
) -> None:
    site, browser = signing
    assert 'name="password"' not in browser.ask("/sign-in")[1]
    with site.node.sessions.begin() as session:
        set_account(session, new_account("bert", Role.VIEWER, "correct horse battery"), NOW)
    assert "bert (viewer)" in browser.sign_in("bert", "correct horse battery")[1]
    with pytest.raises(PermanentError):
        new_account("oidc:anna", Role.OPERATOR, "correct horse battery")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("issuer = 'http://login.example.org'", "https:// URL"),
        ("issuer = 'https://login.example.org'", "client_id"),
        ("issuer = 'https://l.example.org'\nclient_id = 'x'", "public_url"),
        (
            "issuer = 'https://l.example.org'\nclient_id = 'x'\npublic_url = 'https://c.example.org'",
            "nobody could sign in",
        ),
    ],
)
def test_settings_by_which_no_person_could_sign_in_are_refused(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"[console.oidc]\n{lines}\n")
    with pytest.raises(SettingsError, match=words):
        load_settings(path, {})


@pytest.fixture(scope="module")
def other_provider() -> Iterator[str]:
    with mock_provider() as issuer:
        yield issuer


@pytest.mark.parametrize("knows_secret", [True, False])
def test_sign_in_works_with_a_provider_of_another_maker(
    tmp_path: Path, other_provider: str, knows_secret: bool
) -> None:
    port = free_port()
    client = registered(other_provider, f"http://127.0.0.1:{port}{CALLBACK}")
    site = Site(tmp_path, port, other_provider, client_id=client["client_id"])
    (tmp_path / "secret").write_text(client["client_secret"] if knows_secret else "wrong")
    with listening(create_console(site.node, "127.0.0.1"), port):
        browser = Browser(port)
        form = browser.redirected("/sign-in/oidc")
        back = browser.redirected_from(form, {"sub": "anna"})
        _, page = browser.ask(back.removeprefix(browser.url))
        assert ("Continue" in page) is knows_secret
        assert ("does not accept this client id and secret" in page) is not knows_secret
        assert is_let_in(browser) is knows_secret
        if knows_secret:
            target = signed_out(browser)
            with urllib.request.urlopen(target, timeout=60) as answer:
                form = answer.read().decode()
            there = re.search(r'name="redirect_uri"[^>]*value="([^"]+)"', form)
            assert there, form
            confirm, fields = f"{other_provider}/oauth2/end_session/confirm", {"redirect_uri": html.unescape(there[1])}
            assert browser.redirected_from(confirm, fields) == f"{browser.url}/sign-in"
    site.node.sessions.kw["bind"].dispose()
