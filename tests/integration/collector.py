"""A collector of audit messages: syslog over TLS (RFC 5425), which a test can stop, start and disconnect."""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from glam_node.node.tls.contexts import CertificateFiles, server_context
from tests.certificates import Signed

HEADER = re.compile(
    rb"<(?P<priority>\d+)>1 (?P<time>\S+) (?P<host>\S+) (?P<app_name>\S+) (?P<process>\S+) (?P<message_id>\S+)"
    rb' \[meta sequenceId="(?P<sequence>\d+)"\] \xef\xbb\xbf(?P<message>.*)',
    re.DOTALL,
)
AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """One syslog message."""

    priority: int
    message_id: str
    sequence: int
    message: bytes


class Collector:
    """A collector that keeps the messages that arrived completely at its port, over all its starts."""

    def __init__(self, theirs: Signed, port: int) -> None:
        self._context = server_context(
            CertificateFiles("collector", theirs.certificate, theirs.key, theirs.ca), ssl.CERT_REQUIRED
        )
        self.port = port
        self.records: list[Record] = []
        self.cut_after: int | None = None
        """So many bytes of a connection are read, and what comes then is thrown away with the connection."""
        self.hold_s = 0.0
        """So long it neither reads nor closes."""

    @property
    def sequences(self) -> list[int]:
        """The sequenceId values in order of arrival."""
        return [record.sequence for record in self.records]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Accept connections, one after another, until the context ends."""
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            listener.settimeout(0.05)
            stop = threading.Event()
            thread = threading.Thread(target=self._serve, args=(listener, stop))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def _serve(self, listener: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError, ConnectionError, ssl.SSLError):
                connection, _ = listener.accept()
                connection.settimeout(60)
                with connection, self._context.wrap_socket(connection, server_side=True) as secured:
                    self._read(secured)

    def _read(self, secured: ssl.SSLSocket) -> None:
        time.sleep(self.hold_s)
        data = b""
        while chunk := secured.recv(AT_ONCE):
            data += chunk
            if self.cut_after is not None and len(data) >= self.cut_after:
                self._take(data[: self.cut_after])
                # SO_LINGER of 0: the end of the connection is a reset.
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
        self._take(data)
        secured.unwrap()

    def _take(self, data: bytes) -> None:
        """Parse records (RFC 5425 4.3): the length in decimal digits, a space, and the message."""
        while data:
            length, space, rest = data.partition(b" ")
            if not space or len(rest) < int(length):
                return
            found = HEADER.fullmatch(rest[: int(length)])
            assert found, rest[: int(length)]
            said = found.groupdict()
            self.records.append(
                Record(int(said["priority"]), said["message_id"].decode(), int(said["sequence"]), said["message"])
            )
            data = rest[int(length) :]
