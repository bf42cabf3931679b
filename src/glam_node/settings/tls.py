"""[tls]: listening with TLS; the names by which a certificate is known."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import File, Patience, Port

_CERTIFICATE = '"sha256:" and 64 hexadecimal digits, or a name that stands in the certificate'
_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{2}:?){31}[0-9a-f]{2}")


def _certificate(value: str) -> str:
    """Lower case, a fingerprint without its inner colons."""
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
    """[tls]: the port on which this node speaks TLS, beside node.port."""

    port: Port | None = None
    """TCP port for DICOM over TLS, 2762 by the standard; unset: TLS is not spoken."""
    plain: bool = True
    """Listen on node.port without TLS, too."""
    certificate: File | None = None
    """This node's certificate and what leads to its authority, PEM; read again whenever the file changes."""
    key: File | None = None
    """Its private key, PEM, unencrypted; a file that only this node may read."""
    ca: File | None = None
    """The authorities that sign the certificates of who may send, PEM; a self-signed certificate stands for itself."""
    client_certificate: Literal["required", "optional", "none"] = "required"
    """Whether who connects must show a certificate of `ca`; optional: it need not, but a wrong one is refused."""
    handshake_timeout: Patience = 10.0
    """Seconds after which a connection that has not become TLS is closed."""

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
                "ca", f'is missing: client_certificate = "{self.client_certificate}" needs authorities to check by'
            )
        return self
