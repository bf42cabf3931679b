"""TLS to peers, with explanations in words if a handshake fails."""

import socket
import ssl
from dataclasses import dataclass, field
from functools import partial

from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.tls.contexts import (
    CertificateFiles,
    CertificateTrouble,
    certificate_trouble,
    client_context,
)
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.connection import ConnectionSettings

# Seconds to wait for the alert of a TLS 1.3 server that refuses the client certificate: the server sends the alert only
# after the client has completed the handshake.
REFUSAL_TIMEOUT_S = 1.0
# OpenSSL's reason -> remedy, for alerts of the other side (RFC 8446 6.2) and for answers that are not TLS
REMEDIES = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate: set {section}.certificate and {section}.key",
    "TLSV1_ALERT_UNKNOWN_CA": "let the archive trust the authority of {section}.certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "check its log for the reason why it rejects {section}.certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "check its log for the reason why it rejects {section}.certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "renew {section}.certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it asks for a certificate ({section}.certificate), or lacks TLS 1.2 with ECDHE",
    "TLSV1_ALERT_PROTOCOL_VERSION": "enable TLS 1.2 or 1.3 there",
    "UNSUPPORTED_PROTOCOL": "enable TLS 1.2 or 1.3 there",
    "WRONG_VERSION_NUMBER": "the answer is not TLS: check {section}.port, or set {section}.tls = false",
}
OTHERWISE = "check that {section}.port uses TLS, and check the archive's log"


@dataclass(frozen=True, slots=True)
class PeerTLS:
    """The TLS settings of one peer."""

    server_name: str
    """The name for which the peer's certificate must be valid."""
    files: CertificateFiles
    _context: ReloadingContext = field(compare=False, repr=False)

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of a new connection.

        Raises:
            TransientError: The certificate files cannot be used.
        """
        try:
            return self._context.current()
        except PermanentError as error:
            raise TransientError(f"{error}. The node tries again.") from error


def peer_tls(section: str, server: ConnectionSettings) -> PeerTLS | None:
    """Return the TLS settings of a section such as destinations.NAME, or None if it uses no TLS."""
    if not server.tls:
        return None
    files = CertificateFiles(section, server.certificate, server.key, server.ca)
    return PeerTLS(server.server_name or server.host, files, ReloadingContext(files, client_context))


@dataclass(frozen=True, slots=True)
class HandshakeFailure:
    """Reason why a TLS handshake failed."""

    message: str
    """The reason and the remedy, as a sentence without capital letter and full stop."""
    certificate: CertificateTrouble | None = None
    """The trouble with the certificate of the other side; None for any other reason."""
    speaks_tls: bool = True
    """Whether the other side answered in TLS."""

    def __str__(self) -> str:
        """Return the message."""
        return self.message


def handshake_failure(tls: PeerTLS, address: tuple[str, int], timeout_s: float) -> HandshakeFailure | None:
    """Return the reason and the remedy if the TLS handshake fails, or None if it succeeds.

    Raises:
        OSError: The connection failed.
    """
    say = partial(_said, tls.files.section)
    with socket.create_connection(address, timeout=timeout_s) as connection:
        agreed = False
        try:
            with tls.context().wrap_socket(connection, server_hostname=tls.server_name) as secured:
                agreed = True
                secured.settimeout(min(timeout_s, REFUSAL_TIMEOUT_S))
                secured.recv(1)
        except ssl.SSLCertVerificationError as error:
            section = tls.files.section
            return HandshakeFailure(
                f"its certificate is not trusted: {unstopped(error.verify_message)}. "
                f"Check {section}.ca and {section}.server_name, and the dates of its certificate",
                certificate_trouble(error),
            )
        except ssl.SSLError as error:
            return HandshakeFailure(say(error.reason or str(error)), speaks_tls=error.reason != "WRONG_VERSION_NUMBER")
        except TimeoutError:
            return None if agreed else HandshakeFailure(say("no answer to the handshake"), speaks_tls=False)
        except ConnectionError as error:
            return HandshakeFailure(say(error.strerror or str(error)))
    return None


def listens(address: tuple[str, int], timeout_s: float) -> bool:
    """Return whether something accepts connections there."""
    try:
        socket.create_connection(address, timeout=timeout_s).close()
    except OSError:
        return False
    return True


def speaks_tls(address: tuple[str, int], timeout_s: float) -> bool:
    """Return whether the server answers a TLS handshake, even if only with an alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address, timeout=timeout_s) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def speaks_http(address: tuple[str, int], timeout_s: float) -> bool:
    """Return whether the server answers an HTTP request."""
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _said(section: str, reason: str) -> str:
    remedy = REMEDIES.get(reason, OTHERWISE).format(section=section)
    return f"TLS failed: {reason.replace('_', ' ').lower()}; {remedy}"
