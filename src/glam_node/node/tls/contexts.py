"""TLS 1.2 and 1.3 by PS3.15 B.12 and B.13, with certificates from files that may change while the node runs."""

import ssl
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from glam_node.node.errors import PermanentError

# RFC 9325 section 4.2 and PS3.15 B.13: forward secrecy and authenticated encryption, keys of 112 bits and more.
# The cipher suites of TLS 1.3 are the defaults of OpenSSL, which are those of the profile.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
KEY_MISMATCH = "KEY_VALUES_MISMATCH"

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a certificate, its key and the trusted authorities."""

    section: str
    """The section of the settings that names the files, such as tls or destinations.archive."""
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    own_client: Path | None = None
    """Certificate with which this node calls itself, trusted in addition to the authorities; it need not exist."""

    def signature(self) -> Signature:
        """Return a value that changes when a file is modified, replaced or removed."""
        return tuple(_signature(path) for path in (self.certificate, self.key, self.ca, self.own_client))


def server_context(files: CertificateFiles, client_certificate: ssl.VerifyMode) -> ssl.SSLContext:
    """Return a context for a listener (PS3.15 B.12, server role).

    Args:
        files: The certificate, its key, and the authorities for certificates of clients.
        client_certificate: Whether clients may or must present a certificate.

    Raises:
        PermanentError: A file cannot be used; the message gives the reason.
    """
    context = _profile(ssl.PROTOCOL_TLS_SERVER)
    # Sessions must not be resumed: every connection presents its certificate to the current authorities. Without
    # tickets OpenSSL still resumes sessions of TLS 1.2 by their id on the same context, and Python cannot turn that
    # off: so listeners use a context for each connection.
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_chain(context, files)
    if client_certificate != ssl.CERT_NONE:
        context.verify_mode = client_certificate
        _load_authorities(context, files)
        if files.own_client is not None and files.own_client.is_file():
            context.load_verify_locations(files.own_client)
    return context


def client_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return a context for connections to a server (PS3.15 B.12, client role).

    The certificate of the server must be from a trusted authority and include the name of the server.

    Args:
        files: The authorities (default: those of the system), and the certificate and key of this node, if any.

    Raises:
        PermanentError: A file cannot be used; the message gives the reason.
    """
    context = _profile(ssl.PROTOCOL_TLS_CLIENT)
    if files.certificate is not None:
        _load_chain(context, files)
    if files.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, files)
    return context


def _profile(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_chain(context: ssl.SSLContext, files: CertificateFiles) -> None:
    assert files.certificate is not None  # noqa: S101 - the schema asks for both
    assert files.key is not None  # noqa: S101
    for name, path in (("certificate", files.certificate), ("key", files.key)):
        _require_readable(files, name, path)
    where = f"{files.section}.certificate {files.certificate}"
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        raise PermanentError(f"{where} cannot be used: {_chain_failure(files, error)}") from error
    except OSError as error:
        raise PermanentError(f"{where} cannot be read: {error.strerror}") from error


def _chain_failure(files: CertificateFiles, error: ssl.SSLError) -> str:
    if error.reason == KEY_MISMATCH:
        return f"{files.section}.key {files.key} does not belong to it. Configure the key of this certificate."
    if error.reason is None or "BAD_DECRYPT" in error.reason or "PASSWORD" in error.reason:
        return f"it is not a PEM certificate, or {files.section}.key {files.key} is encrypted or not a PEM key."
    return f"{error.reason.replace('_', ' ').lower()}. Use a PEM certificate and key; RSA needs 2048 bits or more."


class CertificateTrouble(Enum):
    """Reason why the certificate of the other side is not accepted."""

    DATES = "dates"
    """It is expired or not valid yet."""
    NAME = "name"
    """It is not valid for the name of the other side."""
    AUTHORITY = "authority"
    """Its authority is not trusted, or another reason."""


def certificate_trouble(error: ssl.SSLCertVerificationError) -> CertificateTrouble:
    """Return the reason by the code of OpenSSL (X509_V_ERR in x509_vfy.h)."""
    return _TROUBLES.get(error.verify_code, CertificateTrouble.AUTHORITY)


_TROUBLES = {
    9: CertificateTrouble.DATES,
    10: CertificateTrouble.DATES,
    62: CertificateTrouble.NAME,
    64: CertificateTrouble.NAME,
}


def _load_authorities(context: ssl.SSLContext, files: CertificateFiles) -> None:
    assert files.ca is not None  # noqa: S101 - the schema asks for it
    _require_readable(files, "ca", files.ca)
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        raise PermanentError(f"{files.section}.ca {files.ca} contains no certificate. Use a PEM file.") from error
    # Every certificate in `ca` is trusted, even if it is not a certificate of an authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _require_readable(files: CertificateFiles, name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise PermanentError(
            f"{files.section}.{name} {path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else None
