"""Settings of [audit]."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, Timeout


class AuditSettings(Section):
    """[audit]: the collector of audit messages, by syslog over TLS (PS3.15 A.6); the node also keeps every message."""

    host: Host | None = None
    """Address or name of the collector; unset: messages stay on the node, and all of them are sent once it is set."""
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    """Port of the collector."""
    ca: File | None = None
    """Certificates of the authorities that sign the collector's certificate, PEM; unset: those of the operating
    system."""
    certificate: File | None = None
    """Client certificate that this node presents to the collector, PEM; unset: none."""
    key: File | None = None
    """Private key of the client certificate, PEM, unencrypted."""
    server_name: Host | None = None
    """Name that the collector's certificate must contain; unset: audit.host."""
    timeout: Timeout = 10.0
    """Seconds to wait for the collector to connect, to read, and to close."""

    @model_validator(mode="after")
    def _has_certificate_and_key_together(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise contradiction(missing, "is missing: a certificate and its key go together")
        return self

    @model_validator(mode="after")
    def _names_a_collector(self) -> Self:
        for key in ("ca", "certificate", "server_name"):
            if getattr(self, key) is not None and self.host is None:
                raise contradiction(key, "is for a collector: audit.host is unset")
        return self
