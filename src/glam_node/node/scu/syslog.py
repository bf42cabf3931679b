"""Delivery of audit messages by syslog over TLS (RFC 5425), with one connection for each batch."""

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from socket import create_connection, socket

from glam_node.node.errors import TransientError
from glam_node.node.scu.answer_timeouts import ended_after
from glam_node.node.scu.tls import PeerTLS
from glam_node.node.tls.contexts import CertificateFiles, client_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.audit import AuditSettings

READ_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class AuditCollector:
    """The collector that [audit] describes."""

    host: str
    port: int
    timeout_s: float
    tls: PeerTLS

    def send(self, frames: Sequence[bytes]) -> None:
        """Send messages and wait until the collector has read all of them.

        Syslog has no acknowledgements (RFC 5424 8.5). Instead the node closes the TLS session (RFC 5425 4.4), and waits
        until the collector closes it too. The collector does so after it has read everything.

        Args:
            frames: The messages, framed by RFC 5425.

        Raises:
            TransientError: The collector may not have read all messages; send them again.
        """
        try:
            with create_connection((self.host, self.port), timeout=self.timeout_s) as connection:
                session = _TLSSession(connection, self.tls, self.timeout_s)
                session.send(b"".join(frames))
                # Some collectors end the connection without a close_notify alert. Then the end counts as the close.
                with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    session.close()
        except OSError as error:
            where = f"Audit collector {self.host}:{self.port}"
            raise TransientError(f"{where}: {_reason(error)}. The audit messages wait on the node.") from error


class _TLSSession:
    """A TLS session over a connection.

    This class replaces ssl.SSLSocket, whose `unwrap` may return before the other side has closed the session.
    """

    def __init__(self, connection: socket, tls: PeerTLS, timeout_s: float) -> None:
        self._connection, self._timeout_s = connection, timeout_s
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.context().wrap_bio(self._incoming, self._outgoing, server_hostname=tls.server_name)
        self._until(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def close(self) -> None:
        """Close the session, and wait until the other side has closed it.

        OpenSSL accepts any alert as the end of a session that this side has closed; a read shows which alert it was.

        Raises:
            OSError: The other side sent an error alert.
        """
        self._until(self._tls.unwrap)
        self._tls.read(1)

    def _until(self, done: Callable[[], object]) -> None:
        """Exchange TLS records until `done` succeeds, for at most the timeout, even if they arrive byte by byte."""
        with ended_after(self._timeout_s, lambda: [self._connection]):
            self._exchange(done)

    def _exchange(self, done: Callable[[], object]) -> None:
        while True:
            try:
                done()
                return self._flush()
            except ssl.SSLWantReadError:
                self._flush()
            received = self._connection.recv(READ_AT_ONCE)
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()

    def _flush(self) -> None:
        self._connection.sendall(self._outgoing.read())


def audit_collector(audit: AuditSettings) -> AuditCollector | None:
    """Return the collector that [audit] describes, or None if audit.host is not set."""
    if audit.host is None:
        return None
    files = CertificateFiles("audit", audit.certificate, audit.key, audit.ca)
    tls = PeerTLS(audit.server_name or audit.host, files, ReloadingContext(files, client_context))
    return AuditCollector(audit.host, audit.port, audit.timeout, tls)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}. Check audit.ca and audit.server_name"
    if isinstance(error, ssl.SSLError):
        said = (error.reason or str(error)).replace("_", " ").lower()
        return f"TLS failed: {said}. Check audit.port, audit.certificate and the log of the collector"
    if isinstance(error, TimeoutError):
        return "the collector did not answer or close the connection in time. Check audit.host and audit.timeout"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the collector closed the connection. Check audit.port, audit.certificate and the log of the collector"
    return f"{(error.strerror or str(error)).lower()}. Check audit.host and audit.port, and whether the collector runs"
