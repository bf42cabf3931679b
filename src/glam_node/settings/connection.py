"""The keys of every system that the node calls over the network, be it a destination or a source."""

from typing import Self

from pydantic import model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, RemotePort, Timeout


class ConnectionSettings(Section):
    """The connection to an archive: its address, and TLS."""

    host: Host = "127.0.0.1"
    """Address or name of the archive."""
    port: RemotePort = 104
    """Port of the archive."""
    tls: bool = False
    """Connect with TLS."""
    ca: File | None = None
    """tls: certificates of the authorities that sign the archive's certificate, PEM; unset: those of the operating
    system."""
    certificate: File | None = None
    """tls: client certificate that this node presents to the archive, PEM; unset: none."""
    key: File | None = None
    """tls: private key of the client certificate, PEM, unencrypted."""
    server_name: Host | None = None
    """tls: name that the archive's certificate must contain; unset: host."""
    timeout: Timeout = 30.0
    """Seconds to wait for the archive to connect or to answer."""

    @model_validator(mode="after")
    def _has_files_for_tls_only(self) -> Self:
        for key in ("ca", "certificate", "key", "server_name"):
            if getattr(self, key) is not None and not self.tls:
                raise contradiction(key, "is for TLS: set tls = true")
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise contradiction(missing, "is missing: a certificate and its key go together")
        return self
