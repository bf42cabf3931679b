"""[audit]: where DICOM audit messages go."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Host, Patience


class AuditSettings(Section):
    """[audit]: the collector of audit messages, by syslog over TLS (PS3.15 A.6); they are kept here in any case."""

    host: Host | None = None
    """Its address or name; unset: messages stay here, and all go out when it is set."""
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    """Its port."""
    ca: File | None = None
    """The authorities that sign its certificate, PEM; unset: those of the operating system."""
    certificate: File | None = None
    """The certificate that this node shows it, PEM; unset: none."""
    key: File | None = None
    """The private key of that certificate, PEM, unencrypted."""
    server_name: Host | None = None
    """The name that must stand in its certificate; unset: host."""
    timeout: Patience = 10.0
    """Seconds to wait for it: to connect, to read, and to close."""

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
