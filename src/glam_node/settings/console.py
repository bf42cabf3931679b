"""Settings of [console] and [console.oidc], the sign-in with the hospital's own accounts."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, Network, Port, Timeout

_URL = "an https:// URL without user, query and fragment; http:// only for this machine"


def _https_url(value: str) -> str:
    """Return the URL; raise ValueError for one with a user, query or fragment, and for plain HTTP to another machine.

    Error messages and pages show the URL, so it must not contain a password; plain HTTP would expose tokens.
    """
    parts = urlsplit(value)
    plain = parts.scheme == "http" and _is_this_machine(parts.hostname or "")
    if not (parts.hostname and (parts.scheme == "https" or plain)) or parts.query or parts.fragment or "@" in value:
        raise ValueError(_URL)
    return value


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


WebAddress = Annotated[str, AfterValidator(_https_url), Field(json_schema_extra={"allowed": _URL})]
Claim = Annotated[str, Field(min_length=1, max_length=128)]
IdleTimeout = Annotated[float, Field(ge=60, le=28_800, allow_inf_nan=False)]


class OIDCSettings(Section):
    """[console.oidc]: sign-in with OpenID Connect (authorization code with PKCE), in addition to local accounts."""

    issuer: WebAddress | None = None
    """URL of the provider, exactly as its discovery document states its issuer; unset: no sign-in with OpenID
    Connect."""
    client_id: str = ""
    """Client ID of this console at the provider."""
    client_secret_path: File | None = None
    """File that contains only the client secret; unset: a public client, which uses PKCE alone."""
    public_url: WebAddress | None = None
    """URL at which browsers reach the console. Register PUBLIC_URL/sign-in/oidc/callback as the redirect URI at the
    provider."""
    scopes: tuple[str, ...] = ("openid", "profile")
    """Scopes to request; some providers need another one to list groups."""
    name_claim: Claim = "preferred_username"
    """Claim with the person's name for pages and the audit trail; where it is missing, the subject is used."""
    roles_claim: Claim = "groups"
    """Claim that lists groups or roles; dots lead to a claim inside another, as in realm_access.roles."""
    viewers: tuple[str, ...] = ()
    """Groups whose members are viewers."""
    operators: tuple[str, ...] = ()
    """Groups whose members are operators."""
    see_patients: tuple[str, ...] = ()
    """Groups whose members, if they are viewers or operators, may see patient names and IDs."""
    ca: File | None = None
    """Certificates of the authorities that sign the provider's certificate, PEM; unset: those of the Python package
    certifi."""
    timeout: Timeout = 10.0
    """Seconds to wait for each answer of the provider."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.issuer is None:
            return self
        for key in ("client_id", "public_url"):
            if not getattr(self, key):
                raise contradiction(key, "is missing: console.oidc.issuer needs it")
        if not (self.viewers or self.operators):
            raise contradiction("viewers", "is empty, and so is operators: nobody could sign in with OpenID Connect")
        if "openid" not in self.scopes:
            raise contradiction("scopes", '"openid" is missing: without it there is no ID token')
        return self


class ConsoleSettings(Section):
    """[console]: web pages for people, and metrics and health for monitoring, over HTTP."""

    host: Host = "127.0.0.1"
    """Address to listen on. Metrics and health are served on any address. Without accounts (glam-node console user
    add), pages are served only on an address that no other machine can reach. With accounts, other machines get pages
    only over HTTPS (console.certificate)."""
    port: Port = 0
    """TCP port to listen on; 0: no console."""
    certificate: File | None = None
    """Certificate for HTTPS with the certificates that lead to its authority, PEM; unset: HTTP, without pages for other
    machines."""
    key: File | None = None
    """Private key of the certificate, PEM, unencrypted, in a file that only this node may read."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or networks of the reverse proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted;
    empty: none. With a proxy, pages need an account, wherever the console listens."""
    host_names: tuple[Host, ...] = ()
    """Names in the Host header by which a reverse proxy on this machine may reach the console, in addition to localhost
    and the name in console.oidc.public_url."""
    idle_timeout: IdleTimeout = 1800.0
    """Seconds without a click after which a user must sign in again; the automatic update of a page is not a click.
    Every session ends after eight hours in any case."""
    oidc: OIDCSettings = OIDCSettings()

    @model_validator(mode="after")
    def _trusts_known_proxies_only(self) -> Self:
        for number, network in enumerate(self.trusted_proxies):
            if ipaddress.ip_network(network, strict=False).prefixlen == 0:
                raise contradiction(
                    f"trusted_proxies[{number}]", f'"{network}" is every address. List only those of your proxies'
                )
        return self

    @model_validator(mode="after")
    def _has_both_files(self) -> Self:
        if self.certificate is not None and self.key is None:
            raise contradiction("key", "is missing: console.certificate needs its private key")
        if self.key is not None and self.certificate is None:
            raise contradiction("certificate", "is missing: console.key is the key of a certificate")
        return self
