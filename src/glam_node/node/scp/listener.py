"""Listening ports of the receiver, for plain DICOM and for DICOM over TLS."""

import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.errors import PermanentError
from glam_node.node.scp.access import Caller, Rejection
from glam_node.node.scp.pdu import ConnectionLost
from glam_node.node.tls.certificates import peer_certificate
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.schema import NodeSettings
from glam_node.settings.tls import TLSSettings

BACKLOG = 1024
"""Maximum number of connections that wait to be accepted; further peers connect again after about a second."""
# The first byte of a TLS record with a ClientHello (RFC 8446 5.1); no PDU type of PS3.8 is 0x16.
HANDSHAKE_RECORD = 0x16
# PS3.8 Table 9-21: rejected-permanent, service user, no reason given
NO_REASON_GIVEN = (1, 1, 1)
CLIENT_CERTIFICATE_MODES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
# Remedies of a failed handshake by the reason that OpenSSL gives.
HANDSHAKE_REMEDIES = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": 'give the sender a certificate, or tls.client_certificate = "optional"',
    "UNSUPPORTED_PROTOCOL": "configure the sender for TLS 1.2 or 1.3",
    "NO_SHARED_CIPHER": "enable a cipher suite of the BCP 195 profile (ECDHE with AES-GCM) at the sender",
    "TLSV1_ALERT_UNKNOWN_CA": "add the authority of tls.certificate to those that the sender trusts",
    "SSLV3_ALERT_BAD_CERTIFICATE": "see the log of the sender for why it rejects tls.certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "renew tls.certificate",
}
# Remedies of a certificate of a sender that was refused, by X509_V_ERR of OpenSSL, which Python does not name.
_ADD_AUTHORITY = "put the authority of the sender's certificate into tls.ca"
CERTIFICATE_REMEDIES = {
    9: "the sender's certificate is not valid yet: check the clocks of both machines",
    10: "renew the sender's certificate, or that of its authority; check the clocks of both machines, too",
    **dict.fromkeys((2, 18, 19, 20, 21), _ADD_AUTHORITY),
}
DEFAULT_REMEDY = "see the log of the sender; `glam-node doctor` checks the certificates of this node"


class HandshakeRefused(Exception):
    """The TLS handshake failed, or the peer used TLS on the plain port."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.reason)
        self.rejection = rejection


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening port of the node; `context` is None for plain DICOM."""

    listening_socket: socket.socket
    context: ReloadingContext | None
    remedy: str
    """Advice for peers that speak TLS to the plain port, or plain DICOM to the TLS port."""
    handshake_timeout: float

    @contextmanager
    def handshake(self, connection: socket.socket, address: str) -> Iterator[tuple[socket.socket, Caller]]:
        """Perform the TLS handshake if the port uses TLS, and provide the socket for DICOM with its caller.

        TLS runs on a duplicate of `connection` that is closed afterwards; shutting down `connection` ends both.

        Raises:
            HandshakeRefused: The handshake failed, or the peer used TLS on the plain port.
            ConnectionLost: The peer sent nothing in time, or closed the connection during the handshake.
        """
        speaks_tls = _speaks_tls(connection, self.handshake_timeout)
        if self.context is None:
            if speaks_tls:
                raise HandshakeRefused(Rejection(NO_REASON_GIVEN, "TLS was spoken to the plain port", self.remedy))
            yield connection, Caller(address)
        elif not speaks_tls:
            wrong = Rejection(NO_REASON_GIVEN, "plain DICOM was spoken to the TLS port", self.remedy)
            yield connection, Caller(address, wrong_port=wrong)
        else:
            with _secured(connection, self.context.current(), self.handshake_timeout) as secured:
                yield secured, Caller(address, peer_certificate(secured))

    def accept(self) -> tuple[socket.socket, str]:
        """Return a connection and the address of its peer. Raises BlockingIOError if no connection waits."""
        connection, address = self.listening_socket.accept()
        return connection, str(address[0])

    def close(self) -> None:
        """Stop listening in this process; other processes may have the same socket."""
        self.listening_socket.close()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.listening_socket.getsockname()[1])


def open_listeners(node: NodeSettings, tls: TLSSettings, own_client: Path | None = None) -> list[Listener]:
    """Listen on the plain port, unless tls.plain is false, and on tls.port, if it is set.

    On tls.port the certificate in the file `own_client`, if there is one, is accepted like those of tls.ca.

    Returns:
        The listening ports, the plain one first.

    Raises:
        PermanentError: A port cannot be opened, or the certificate cannot be used.
    """
    listeners = []
    if tls.port is not None:
        context = tls_context(tls, own_client)
        opened = _listening_socket(node.host, tls.port, "tls.port")
        plain = f", or call port {node.port}" if tls.plain else ""
        listeners.append(Listener(opened, context, f"turn TLS on at the sender{plain}", tls.handshake_timeout))
    if tls.port is None or tls.plain:
        try:
            opened = _listening_socket(node.host, node.port, "node.port")
        except PermanentError:
            for listener in listeners:
                listener.listening_socket.close()
            raise
        there = f"call port {listeners[0].port} for TLS" if listeners else "set tls.port, tls.certificate and tls.key"
        listeners.insert(0, Listener(opened, None, f"{there}, or turn TLS off at the sender", node.network_timeout))
    return listeners


def tls_context(tls: TLSSettings, own_client: Path | None = None) -> ReloadingContext:
    """Return the TLS context of tls.port. Raises PermanentError if the certificate cannot be used."""
    mode = CLIENT_CERTIFICATE_MODES[tls.client_certificate]
    files = CertificateFiles("tls", tls.certificate, tls.key, tls.ca, own_client)
    context = ReloadingContext(files, lambda given: server_context(given, mode), for_one_connection=True)
    context.current()
    return context


def _listening_socket(host: str, port: int, key: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
    except OSError as error:
        raise cannot_listen(host, port, key, error) from error
    # Several processes accept on this socket: one that was told of a connection may find that another has taken it.
    opened.setblocking(False)
    return opened


def cannot_listen(host: str, port: int, key: str, error: OSError) -> PermanentError:
    """Return the error of a receiver whose port `key` could not be opened, with the likely cause and the remedy."""
    number = error.errno or 0
    remedies = {
        errno.EACCES: f"Ports below 1024 are for root: set {key} to 1024 or more, or allow them to the service with "
        "deploy/systemd/port-below-1024.conf.",
        errno.EADDRINUSE: f"Another program has the port: stop it, or set another {key}. `glam-node doctor` names it.",
    }
    remedy = remedies.get(number, f"Check node.host and {key}.")
    # The number is negative where the name has no address; the text repeats the address in brackets.
    cause = os.strerror(number) if number > 0 else str(error.strerror or error).partition(" (")[0]
    return PermanentError(f"The receiver cannot listen on {host}:{port}: {cause}. {remedy}")


def _speaks_tls(connection: socket.socket, timeout_s: float) -> bool:
    """Return whether the first byte, which is left unread, starts a TLS handshake."""
    connection.settimeout(timeout_s)
    try:
        first = connection.recv(1, socket.MSG_PEEK)
    except TimeoutError as error:
        raise ConnectionLost("silent for too long") from error
    return first == bytes([HANDSHAKE_RECORD])


@contextmanager
def _secured(connection: socket.socket, context: ssl.SSLContext, timeout_s: float) -> Iterator[ssl.SSLSocket]:
    with context.wrap_socket(connection.dup(), server_side=True, do_handshake_on_connect=False) as secured:
        # The timeout limits the whole handshake, even if the peer sends it byte by byte.
        secured.settimeout(timeout_s)
        started = time.monotonic()
        try:
            secured.do_handshake()
        except TimeoutError as error:
            raise ConnectionLost(f"no TLS handshake within {time.monotonic() - started:.1f} s") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
            raise ConnectionLost(f"closed in the handshake: {error}") from error
        except ssl.SSLError as error:
            raise HandshakeRefused(_refusal(error)) from error
        if secured.session_reused:
            raise HandshakeRefused(Rejection(NO_REASON_GIVEN, "a TLS session was resumed", DEFAULT_REMEDY))
        yield secured


def _refusal(error: ssl.SSLError) -> Rejection:
    said = error.reason or str(error)
    reason = f"the TLS handshake failed: {said.replace('_', ' ').lower()}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"the sender's certificate was refused: {error.verify_message}"
        return Rejection(NO_REASON_GIVEN, reason, CERTIFICATE_REMEDIES.get(error.verify_code, DEFAULT_REMEDY))
    return Rejection(NO_REASON_GIVEN, reason, HANDSHAKE_REMEDIES.get(said, DEFAULT_REMEDY))
