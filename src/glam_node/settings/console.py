"""[console]: where people and monitoring look."""

import ipaddress
from typing import Annotated, Self

from pydantic import Field, model_validator

from glam_node.settings.oidc import OIDCSettings
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, Network, Port

IdleTimeout = Annotated[float, Field(ge=60, le=28_800, allow_inf_nan=False)]


class ConsoleSettings(Section):
    """[console]: pages for people, metrics and health for monitoring, over HTTP."""

    host: Host = "127.0.0.1"
    """Address to listen on; without accounts (glam-node console user add) pages are served only where no other machine
    can reach it, metrics and health anywhere; with them, beyond this machine, a certificate is needed."""
    port: Port = 0
    """TCP port to listen on; 0: no console."""
    certificate: File | None = None
    """Certificate for HTTPS and what leads to its authority, PEM; unset: HTTP, which other machines get no pages by."""
    key: File | None = None
    """Its private key, PEM, unencrypted; a file that only this node may read."""
    trusted_proxies: tuple[Network, ...] = ()
    """Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, by address or network; empty: none.
    With one, pages need an account, wherever the console listens."""
    host_names: tuple[Host, ...] = ()
    """Names in the Host header by which a reverse proxy on this machine may reach the console, beside localhost and the
    name in console.oidc.public_url."""
    idle_timeout: IdleTimeout = 1800.0
    """Seconds without a click after which whoever is signed in has to sign in again; a page that renews itself is no
    click. Eight hours after signing in it is so in any case."""
    oidc: OIDCSettings = OIDCSettings()

    @model_validator(mode="after")
    def _trusts_no_whole_world(self) -> Self:
        for number, network in enumerate(self.trusted_proxies):
            if ipaddress.ip_network(network, strict=False).prefixlen == 0:
                raise contradiction(
                    f"trusted_proxies[{number}]", f'"{network}" is every address. Name those of the proxies alone'
                )
        return self

    @model_validator(mode="after")
    def _has_both_files(self) -> Self:
        if self.certificate is not None and self.key is None:
            raise contradiction("key", "is missing: console.certificate needs its private key")
        if self.key is not None and self.certificate is None:
            raise contradiction("certificate", "is missing: console.key is the key of a certificate")
        return self
