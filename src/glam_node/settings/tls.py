"""Settings of [tls], and the form of certificate names in settings."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Port, Timeout

_CERTIFICATE = '"sha256:" and 64 hexadecimal digits, or a name in the certificate'
_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{2}:?){31}[0-9a-f]{2}")


def _certificate(value: str) -> str:
    """Return a certificate's name or fingerprint in lower case, the fingerprint without colons between its digits."""
    known = value.strip().lower()
    if known.startswith("sha256:"):
        if not _FINGERPRINT.fullmatch(known):
            raise ValueError(_CERTIFICATE)
        return "sha256:" + known.removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[^\\\x00-\x1f\x7f]{1,256}", known):
        raise ValueError(_CERTIFICATE)
    return known


KnownCertificate = Annotated[str, AfterValidator(_certificate), Field(json_schema_extra={"allowed": _CERTIFICATE})]


class TLSSettings(Section):
    """[tls]: a port that accepts DICOM over TLS, in addition to node.port."""

    port: Port | None = None
    """TCP port for DICOM over TLS, 2762 by the standard; unset: no TLS."""
    plain: bool = True
    """Also listen on node.port, without TLS."""
    certificate: File | None = None
    """Certificate of this node with the certificates that lead to its authority, PEM. The node reads the file again
    whenever it changes."""
    key: File | None = None
    """Private key of the certificate, PEM, unencrypted, in a file that only this node may read."""
    ca: File | None = None
    """Certificates of the authorities that sign the certificates of senders, PEM; a self-signed certificate is its own
    authority."""
    client_certificate: Literal["required", "optional", "none"] = "required"
    """required: senders must present a certificate that an authority in tls.ca signed; optional: they may present none,
    but a wrong one is refused; none: no certificate is requested."""
    handshake_timeout: Timeout = 10.0
    """Seconds after which a connection is closed if its TLS handshake is not complete."""

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if self.port is None:
            if not self.plain:
                raise contradiction("plain", "= false closes node.port: tls.port is unset, so nothing would listen")
            return self
        if self.certificate is None:
            raise contradiction("certificate", "is missing: tls.port needs a certificate, and its key")
        if self.key is None:
            raise contradiction("key", "is missing: tls.port needs the certificate's private key")
        if self.ca is None and self.client_certificate != "none":
            raise contradiction(
                "ca",
                f'is missing: client_certificate = "{self.client_certificate}" needs authorities for the certificates',
            )
        return self
