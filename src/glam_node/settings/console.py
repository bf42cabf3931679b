"""Settings of [console]."""

import ipaddress
from typing import Annotated, Self

from pydantic import Field, model_validator

from glam_node.settings.oidc import OIDCSettings
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, Network, Port

IdleTimeout = Annotated[float, Field(ge=60, le=28_800, allow_inf_nan=False)]


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
    def _trusts_no_whole_world(self) -> Self:
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
