"""[console.oidc]: people sign in where their hospital's accounts are."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Patience

_URL = "an https:// URL without user, query and fragment; http:// for this machine alone"


def _url(value: str) -> str:
    """A name or password in it would be shown; plain HTTP would show tokens to the network."""
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
    """[console.oidc]: sign-in by OpenID Connect (authorization code with PKCE), beside local accounts."""

    issuer: WebAddress | None = None
    """The provider, exactly as its discovery document names itself; unset: nobody signs in by it."""
    client_id: str = ""
    """The name of this console at the provider."""
    client_secret_path: File | None = None
    """A file that holds the client secret and nothing else; unset: a public client, by PKCE alone."""
    public_url: WebAddress | None = None
    """The URL at which browsers reach the console; PUBLIC_URL/sign-in/oidc/callback is the redirect URI to register."""
    scopes: tuple[str, ...] = ("openid", "profile")
    """The scopes to ask for; some providers need one more to list groups."""
    name_claim: Claim = "preferred_username"
    """The claim that names the person, on pages and in the audit trail; without it the subject does."""
    roles_claim: Claim = "groups"
    """The claim that lists groups or roles; realm_access.roles is one inside another."""
    viewers: tuple[str, ...] = ()
    """Members of any of these groups are viewers."""
    operators: tuple[str, ...] = ()
    """Members of any of these groups are operators."""
    see_patients: tuple[str, ...] = ()
    """Viewers and operators in any of these groups may see names and IDs."""
    ca: File | None = None
    """The authorities that sign the provider's certificate, PEM; unset: those that requests ships (certifi)."""
    timeout: Patience = 10.0
    """Seconds to wait for each of its answers."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer is None:
            return self
        for key in ("client_id", "public_url"):
            if not getattr(self, key):
                raise contradiction(key, "is missing: console.oidc.issuer needs it")
        if not (self.viewers or self.operators):
            raise contradiction("viewers", "is empty, and so is operators: nobody could sign in by console.oidc.issuer")
        if "openid" not in self.scopes:
            raise contradiction("scopes", '"openid" is missing: without it there is no ID token')
        return self
