"""Settings of [console.oidc]: sign-in with the hospital's own accounts."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Patience

_URL = "an https:// URL without user, query and fragment; http:// only for this machine"


def _url(value: str) -> str:
    """Raise ValueError for a URL with a user, query or fragment, and for plain HTTP to another machine.

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


WebAddress = Annotated[str, AfterValidator(_url), Field(json_schema_extra={"allowed": _URL})]
Claim = Annotated[str, Field(min_length=1, max_length=128)]


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
    """Claim that lists groups or roles; with a point for a claim inside another, as in realm_access.roles."""
    viewers: tuple[str, ...] = ()
    """Groups whose members are viewers."""
    operators: tuple[str, ...] = ()
    """Groups whose members are operators."""
    see_patients: tuple[str, ...] = ()
    """Groups whose members, if they are viewers or operators, may see patient names and IDs."""
    ca: File | None = None
    """Certificates of the authorities that sign the provider's certificate, PEM; unset: those of the Python package
    certifi."""
    timeout: Patience = 10.0
    """Seconds to wait for each answer of the provider."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
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
