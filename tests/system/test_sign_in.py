"""Sign-in to the console of a running node, with local accounts and with accounts of the hospital."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from glam_node.node.console.oidc import CALLBACK
from glam_node.node.db import audit
from glam_node.node.db.engine import open_database
from glam_node.node.domain.event import EventKind
from tests.certificates import Authority, Signed
from tests.command_line import glam_node
from tests.integration.console.acts.provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.integration.console.browser import Browser, listening
from tests.ports import free_port
from tests.system.site import Site, folder, running_site

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

PASSWORD = "correct horse battery"


@dataclass
class Place:
    """A node with a console over HTTPS, and the OpenID provider of the hospital."""

    site: Site
    provider: Provider
    port: int
    signed: Signed
    study: str

    def browser(self) -> Browser:
        """Return a browser without cookies."""
        return Browser(self.port, self.signed.ca)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("site")
    signed = Authority(root / "authority").sign("node")
    (root / "secret").write_text(CLIENT_SECRET + "\n")
    for file in (root / "secret", signed.key):
        file.chmod(0o600)
    port, provider = free_port(), Provider(person={"sub": "4711"})
    provider.redirect_uris.add(f"https://127.0.0.1:{port}{CALLBACK}")
    with ExitStack() as stack:
        provider_port = stack.enter_context(
            listening(provider.app(), ssl_certfile=signed.certificate, ssl_keyfile=signed.key)
        )
        oidc = {
            "issuer": f"https://127.0.0.1:{provider_port}",
            "client_id": CLIENT_ID,
            "client_secret_path": root / "secret",
            "public_url": f"https://127.0.0.1:{port}/",
            "scopes": ["openid", "profile", "roles"],
            "name_claim": "nickname",
            "roles_claim": "realm_access.roles",
            "viewers": ["staff"],
            "operators": ["mammography"],
            "see_patients": ["radiology"],
            "ca": signed.ca,
            "timeout": 30.0,
        }
        console = {
            "port": port,
            "certificate": signed.certificate,
            "key": signed.key,
            "idle_timeout": 600.0,
            "trusted_proxies": ["127.0.0.1"],
            "host_names": ["reader.hospital.example"],
        }
        settings = {"console": {**console, "oidc": oidc}, "destinations": {"folder": folder(root / "folder")}}
        site = stack.enter_context(running_site(root, settings))
        study = site.send_exam(741)
        site.wait_for_deliveries(study)
        yield Place(site, provider, port, signed, study)


def signed_in(place: Place, name: str, *roles: str) -> Browser:
    """Return the browser of a person who has signed in at the provider with these roles."""
    place.provider.person = {"sub": name, "nickname": name, "realm_access": {"roles": list(roles)}}
    browser = place.browser()
    browser.ask("/sign-in/oidc")
    return browser


def may_see_patients(place: Place, browser: Browser) -> bool:
    """Return whether the console shows the patient of the study."""
    form = {"form_token": browser.form_token("/")}
    return browser.ask(f"/studies/{place.study}/patient", form)[0] == 200


@pytest.mark.features("console.certificate", "console.key", "glam-node console user *")
def test_accounts_of_the_node_have_the_roles_that_they_were_made_with(place: Place) -> None:
    for name, *role in (("olga", "--role", "operator"), ("vera",), ("ines", "--identity")):
        words = ["console", "user", "add", name, *role, "--settings", str(place.site.path)]
        glam_node(*words, text=f"{PASSWORD}\n")
    browsers = {name: place.browser() for name in ("olga", "vera", "ines")}
    for name, browser in browsers.items():
        browser.sign_in(name, PASSWORD)
    assert {name: "operator" in browser.ask("/")[1] for name, browser in browsers.items()} == {
        "olga": True, "vera": False, "ines": False,
    }  # fmt: skip
    assert {name: may_see_patients(place, browser) for name, browser in browsers.items()} == {
        "olga": False, "vera": False, "ines": True,
    }  # fmt: skip
    listed = place.site.command("console", "user", "list")
    assert [name in listed for name in browsers] == [True, True, True]
    place.site.command("console", "user", "remove", "vera")
    assert "<h1>Studies</h1>" not in browsers["vera"].ask("/")[1]


@pytest.mark.features("console.oidc.*")
def test_people_of_the_hospital_have_the_roles_that_their_provider_tells(place: Place) -> None:
    operator = signed_in(place, "anna", "mammography")
    assert "oidc:anna (operator)" in operator.ask("/")[1]
    viewer = signed_in(place, "bert", "staff", "radiology")
    assert "oidc:bert (viewer)" in viewer.ask("/")[1]
    assert [may_see_patients(place, browser) for browser in (operator, viewer)] == [False, True]
    assert "<h1>Studies</h1>" not in signed_in(place, "carl", "elsewhere").ask("/")[1]


@pytest.mark.features("console.idle_timeout")
def test_pictures_are_kept_as_long_as_a_session_may_be_idle(place: Place) -> None:
    browser = signed_in(place, "anna", "mammography")
    picture = re.search(r'src="(/studies/[^"]+\.png[^"]*)"', browser.ask(f"/studies/{place.study}")[1])
    assert picture
    with browser.open(picture[1].replace("&amp;", "&")) as answer:
        assert "max-age=600" in answer.headers["Cache-Control"]


@pytest.mark.features("console.trusted_proxies", "console.host_names")
def test_a_reverse_proxy_names_the_console_and_tells_who_called(place: Place) -> None:
    browser = place.browser()
    with browser.open("/sign-in", headers={"Host": "reader.hospital.example"}) as answer:
        assert answer.status == 200
    with pytest.raises(HTTPError, match="400"):
        browser.open("/sign-in", headers={"Host": "elsewhere.example"})
    fields = {"name": "olga", "password": "wrong", "form_token": browser.form_token("/sign-in")}
    with pytest.raises(HTTPError, match="401"):
        browser.open("/sign-in", urlencode(fields).encode(), {"X-Forwarded-For": "10.9.8.7"})
    sessions = open_database(f"sqlite:///{place.site.storage / 'glam-node.sqlite'}")
    with sessions() as session:
        assert audit.recent(session, EventKind.SIGN_IN_REFUSED, 1)[0].detail["address"] == "10.9.8.7"
    sessions.kw["bind"].dispose()
