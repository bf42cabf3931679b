"""Tests that `doctor` finds mistakes between the console and its sign-in provider."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from glam_node.node.console.oidc import CALLBACK
from tests.integration.cli.planting import Case, Plant, Plot, Tree, examined, is_found
from tests.integration.console.acts.provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from tests.integration.console.browser import listening
from tests.integration.mock_provider import mock_provider, registered
from tests.ports import free_port

PUBLIC_URL = "http://127.0.0.1:8114"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Yield the issuer URL of oidc-provider-mock."""
    with mock_provider() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def client(issuer: str) -> dict[str, str]:
    return registered(issuer, PUBLIC_URL + CALLBACK)


@pytest.fixture
def tree(plot: Plot, issuer: str, client: dict[str, str]) -> Tree:
    """Return the settings of a node with this sign-in provider."""
    secret = plot.path / "secret"
    secret.unlink(missing_ok=True)
    secret.touch(0o600)
    secret.write_text(client["client_secret"])
    oidc_settings = {
        "issuer": issuer,
        "client_id": client["client_id"],
        "client_secret_path": str(secret),
        "public_url": PUBLIC_URL,
        "viewers": ["staff"],
        "timeout": 5.0,
    }
    return plot.sound() | {"console": {"port": free_port(), "oidc": oidc_settings}}


def oidc(**stated: Any) -> Plant:
    def plant(_plot: Plot, tree: Tree) -> None:
        chosen = tree["console"]["oidc"]
        chosen.update({key: value.format(**chosen) for key, value in stated.items()})

    return plant


def secret(text: str, mode: int = 0o600) -> Plant:
    def plant(plot: Plot, _tree: Tree) -> None:
        (plot.path / "secret").write_text(text)
        (plot.path / "secret").chmod(mode)

    return plant


def readable_by_others(plot: Plot, _tree: Tree) -> None:
    (plot.path / "secret").chmod(0o644)


def without_secret(plot: Plot, _tree: Tree) -> None:
    (plot.path / "secret").unlink()


def provider_that(**metadata: Any) -> Plant:
    """Return a mistake: a provider with this metadata."""

    def plant(plot: Plot, tree: Tree) -> None:
        provider = Provider(redirect_uris={PUBLIC_URL + CALLBACK}, wrong_metadata=metadata)
        (plot.path / "secret").write_text(CLIENT_SECRET)
        tree["console"]["oidc"].update(issuer=plot.peers.enter_context(running(provider)), client_id=CLIENT_ID)

    return plant


def without_keys(plot: Plot, tree: Tree) -> None:
    provider = plot.peers.enter_context(running(Provider(publishes=False)))
    tree["console"]["oidc"].update(issuer=provider, client_id=CLIENT_ID)


def plain_http(_plot: Plot, tree: Tree) -> None:
    chosen = tree["console"]["oidc"]
    chosen["issuer"] = chosen["issuer"].replace("http://", "https://")


def over_tls(host: str = "127.0.0.1", *, ca: str | None = "", **dates: timedelta) -> Plant:
    def plant(plot: Plot, tree: Tree) -> None:
        signed, port = plot.signed("provider", **dates), free_port()
        files = {"ssl_certfile": str(signed.certificate), "ssl_keyfile": str(signed.key)}
        provider = Provider(redirect_uris={PUBLIC_URL + CALLBACK})
        plot.peers.enter_context(listening(provider.app(), port, host=host, **files))
        (plot.path / "secret").write_text(CLIENT_SECRET)
        chosen = {"issuer": f"https://{host}:{port}", "client_id": CLIENT_ID}
        tree["console"]["oidc"].update(chosen | ({} if ca is None else {"ca": ca or str(signed.ca)}))

    return plant


SECRET = "console.oidc.client_secret_path"
PROVIDER, CLIENT = "sign-in provider", "sign-in client"
CASES = [
    Case("nobody there", oidc(issuer="http://127.0.0.1:1"), PROVIDER, ("cannot be reached", "console.oidc.issuer")),
    Case("an issuer with a slash more", oidc(issuer="{issuer}/"), PROVIDER, ("calls its issuer", "to the last slash")),
    Case("a path of it", oidc(issuer="{issuer}/realms/x"), PROVIDER, ("answered 404", "console.oidc.issuer")),
    Case("no token endpoint", provider_that(token_endpoint=None), PROVIDER, ("does not name its token_endpoint",)),
    Case("no keys", without_keys, PROVIDER, ("has no keys that can be read",)),
    Case("no PKCE", provider_that(code_challenge_methods_supported=["plain"]), PROVIDER, ("no PKCE with S256",)),
    Case("no code flow", provider_that(response_types_supported=["id_token"]), PROVIDER, ("authorization code flow",)),
    Case("no such scope", provider_that(scopes_supported=["openid"]), PROVIDER, ("scopes profile",)),
    Case("its certificate expired", over_tls(ends_in=timedelta(minutes=-5)), PROVIDER, ("expired", "renew it")),
    Case("its authority unknown", over_tls(ca=None), PROVIDER, ("cannot be trusted", "to the file console.oidc.ca")),
    Case("its name another", over_tls("127.0.0.2"), PROVIDER, ("127.0.0.2", "a name in the certificate")),
    Case("soon too old", over_tls(ends_in=timedelta(days=9)), PROVIDER, ("is valid until", "renew it"), "warn"),
    Case("no authorities there", over_tls(ca="/nowhere.pem"), "console.oidc authorities", ("/nowhere.pem",),
         beside=frozenset({PROVIDER})),
    Case("plain HTTP taken for HTTPS", plain_http, PROVIDER, ("does not agree on TLS", "is it https:// there")),
    Case("no secret", without_secret, SECRET, ("cannot be read: No such file", "Write only the secret")),
    Case("an empty secret", secret("\n"), SECRET, ("is empty", "Write only the secret")),
    Case("a wrong secret", secret("hunter2"), CLIENT, ("invalid_client", "console.oidc.client_id")),
    Case("a secret for everybody", readable_by_others, SECRET, ("other users may read", "chmod 600"), "warn"),
    Case("a client unknown there", oidc(client_id="hunted"), CLIENT, ("invalid_client", "Correct console.oidc")),
    Case("another public URL", oidc(public_url="http://127.0.0.1:9"), CLIENT,
         ("answered 400", f"Register http://127.0.0.1:9{CALLBACK}")),
]  # fmt: skip


def test_a_provider_that_knows_the_console_is_ok(plot: Plot, tree: Tree) -> None:
    lines = examined(plot, tree, "model", "storage")
    assert [lines[name]["verdict"] for name in (PROVIDER, CLIENT, "console")] == ["ok", "ok", "ok"]
    assert "people who sign out here are signed out there" in lines[PROVIDER]["fact"]


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_a_planted_mistake_is_found_and_named(plot: Plot, tree: Tree, case: Case) -> None:
    is_found(plot, case, tree)
