"""The collector of audit messages: syslog over TLS (RFC 5425), one connection for each batch."""

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from socket import create_connection, socket

from glam_node.node.errors import TransientError
from glam_node.node.scu.tls import PeerTLS
from glam_node.node.tls.contexts import ContextOfFiles, Files, client_context
from glam_node.settings.audit import AuditSettings

READ_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class AuditCollector:
    """The one that [audit] names."""

    host: str
    port: int
    timeout_s: float
    tls: PeerTLS

    def send(self, frames: Sequence[bytes]) -> None:
        """The collector has read all of them. Raises TransientError where that is not certain: send them again.

        Syslog acknowledges nothing (RFC 5424 8.5). What stands in for it: we say that we close (RFC 5425 4.4), and the
        collector closes in its turn, which it comes to after all that we sent before.
        """
        try:
            with create_connection((self.host, self.port), timeout=self.timeout_s) as connection:
                line = _Line(connection, self.tls)
                line.say(b"".join(frames))
                # Some collectors end the connection without a word of TLS: then the end itself is the answer.
                with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    line.part()
        except OSError as error:
            where = f"Audit collector {self.host}:{self.port}"
            raise TransientError(f"{where}: {_reason(error)}. Its messages wait here.") from error


class _Line:
    """TLS over a connection. Not ssl's own socket, whose `unwrap` may return before the other side has closed."""

    def __init__(self, connection: socket, tls: PeerTLS) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.context().wrap_bio(self._incoming, self._outgoing, server_hostname=tls.server_name)
        self._until(self._tls.do_handshake)

    def say(self, data: bytes) -> None:
        """All of it is on its way."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def part(self) -> None:
        """We have closed, and so has the other side. Raises OSError where it said something else, as ssl's errors are.

        OpenSSL takes an alert of any kind for the end of a connection that we have closed; reading tells which it was.
        """
        self._until(self._tls.unwrap)
        self._tls.read(1)

    def _until(self, done: Callable[[], object]) -> None:
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
    """What [audit] describes; None where it names no host."""
    if audit.host is None:
        return None
    files = Files("audit", audit.certificate, audit.key, audit.ca)
    tls = PeerTLS(audit.server_name or audit.host, files, ContextOfFiles(files, client_context))
    return AuditCollector(audit.host, audit.port, audit.timeout, tls)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}. Check audit.ca and audit.server_name"
    if isinstance(error, ssl.SSLError):
        said = (error.reason or str(error)).replace("_", " ").lower()
        return f"TLS failed: {said}. Check audit.port, audit.certificate and the log of the collector"
    if isinstance(error, TimeoutError):
        return "no answer in time, or it did not close the connection when we did. Check audit.host and audit.timeout"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "it closed the connection. See its log: check audit.port and audit.certificate"
    return f"{(error.strerror or str(error)).lower()}. Check audit.host and audit.port, and whether it runs"
