"""The port for HL7 messages (MLLP): connections of hospital systems, each of which sends one message after another."""

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from glam_node.node.errors import PermanentError
from glam_node.node.hl7.mllp import FrameReader, TooLong, framed
from glam_node.node.tls.reloading import ReloadingContext

log = structlog.get_logger(__name__)

MAXIMUM_MESSAGE_BYTES = 8 * 2**20
"""Length of the longest message; a report with a PDF inside may have several megabytes."""
MAXIMUM_CONNECTIONS = 64
FRAME_TIMEOUT_S = 30.0
"""Seconds that a sender has for the whole of a message, and for its TLS handshake."""
IDLE_TIMEOUT_S = 3600.0
"""Seconds after which a connection without messages is closed; engines connect again."""
GRACE_S = 5.0
"""Seconds that connections have when the listener stops, to send what is on its way and to read its answer."""
QUIET_S = 1.0
"""Seconds without a byte after which a connection is closed when the listener stops."""
_READ_AT_ONCE = 65_536
_MOST_IGNORED = 1024
"""Number of bytes outside of frames after which a connection is closed: its sender speaks another protocol."""
_POLL_S = 0.5
_HEAD = 4096
"""Number of bytes of a message that is too long in which its MSH is looked for."""


class Answers(Protocol):
    """The function behind the port."""

    def answer(self, data: bytes, address: str) -> bytes | None:
        """Take a message and return its acknowledgement; None closes the connection."""
        ...

    def reject_unread(self, data: bytes, address: str, reason: str) -> bytes | None:
        """Return the rejection of a message of which only the beginning was read."""
        ...

    def refuse(self, address: str, sender: str, reason: str, control_id: str, remedy: str = "") -> None:
        """Record a refusal."""
        ...


@dataclass(slots=True, eq=False)
class _Connection:
    """An open connection."""

    opened: socket.socket
    address: str
    last_at: float = field(default_factory=time.monotonic)
    """Time of the last byte or answer, or of the beginning."""
    is_answering: bool = False
    """Whether a message was read and its acknowledgement is not sent yet."""


class HL7Listener:
    """Accepts connections on listening sockets and answers the messages on them, each connection in a thread.

    Args:
        sockets: The listening sockets, which other processes may have, too.
        context: The TLS context; None for plain MLLP.
        admits: Function that returns whether an address may send.
        answers: The function behind the port.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        context: ReloadingContext | None,
        admits: Callable[[str], bool],
        answers: Answers,
    ) -> None:
        self._sockets, self._context, self._admits, self._answers = sockets, context, admits, answers
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="hl7 port")

    def start(self) -> None:
        """Start to accept connections."""
        for one in self._sockets:
            one.setblocking(False)
        self._thread.start()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Accept no more connections, and close each once it is quiet and its messages are acknowledged."""
        self._stopping.set()
        self._thread.join()
        for one in self._sockets:
            one.close()
        deadline = time.monotonic() + GRACE_S
        while self._close_quiet(QUIET_S) and time.monotonic() < deadline:
            time.sleep(_POLL_S / 10)
        while self._close_quiet(0.0) and time.monotonic() < deadline + GRACE_S:
            time.sleep(_POLL_S / 10)

    def _close_quiet(self, quiet_s: float) -> bool:
        """Close the connections that are quiet for that long and wait for no answer; return whether any are left."""
        before = time.monotonic() - quiet_s
        with self._lock:
            for connection in self._connections:
                if connection.last_at <= before and not connection.is_answering:
                    _shut(connection.opened)
            return bool(self._connections)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in self._sockets:
                selector.register(one, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select(_POLL_S):
                    # Another process may have taken the connection, or the system has no more files.
                    with suppress(OSError):
                        opened, address = key.fileobj.accept()  # type: ignore[union-attr]
                        self._begin(opened, str(address[0]).removeprefix("::ffff:"))

    def _begin(self, opened: socket.socket, address: str) -> None:
        if not self._admits(address):
            opened.close()
            remedy = f'Add "{address}" to hl7.hosts, if it may send.'
            self._answers.refuse(address, "", "the address is not in hl7.hosts", "", remedy)
            return
        opened.setblocking(True)
        connection = _Connection(opened, address)
        with self._lock:
            if len(self._connections) >= MAXIMUM_CONNECTIONS:
                idle = [one for one in self._connections if not one.is_answering] or list(self._connections)
                _shut(min(idle, key=lambda one: one.last_at).opened)
            self._connections.add(connection)
        threading.Thread(target=self._serve, args=(connection,), name="hl7", daemon=True).start()

    def _serve(self, connection: _Connection) -> None:
        try:
            with connection.opened:
                connection.opened.settimeout(FRAME_TIMEOUT_S)
                if self._context is None:
                    self._converse(connection, connection.opened)
                    return
                with self._context.current().wrap_socket(connection.opened, server_side=True) as secured:
                    self._converse(connection, secured)
        except ssl.SSLError as error:
            reason = f"the TLS handshake failed: {error.reason or 'connection lost'}"
            self._answers.refuse(connection.address, "", reason, "", "Check the certificates and TLS at the sender.")
        except PermanentError as error:
            log.error("hl7_certificate_unusable", failure=str(error))
        except OSError as error:
            log.debug("hl7_connection_lost", address=connection.address, failure=str(error))
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _converse(self, connection: _Connection, opened: socket.socket) -> None:
        """Answer message after message until the sender closes the connection, is too slow, or sends no HL7."""
        reader = FrameReader(MAXIMUM_MESSAGE_BYTES)
        while True:
            try:
                frame = self._next_frame(connection, opened, reader)
            except TooLong:
                self._reject_long(connection, opened, reader)
                return
            if frame is None or not self._answer(connection, opened, frame):
                return

    def _next_frame(self, connection: _Connection, opened: socket.socket, reader: FrameReader) -> bytes | None:
        """Return the next message; None if the connection is to be closed."""
        begins = time.monotonic()
        while (frame := reader.next()) is None:
            left = begins + (FRAME_TIMEOUT_S if reader.has_begun else IDLE_TIMEOUT_S) - time.monotonic()
            if left <= 0:
                if reader.has_begun:
                    reason = f"a message did not end within {FRAME_TIMEOUT_S:g} s"
                    self._answers.refuse(connection.address, "", reason, "")
                return None
            opened.settimeout(min(left, _POLL_S * 2))
            was_empty = not reader.has_begun
            with suppress(TimeoutError):
                received = opened.recv(_READ_AT_ONCE)
                if not received:
                    return None
                connection.last_at = time.monotonic()
                reader.add(received)
            if reader.ignored > _MOST_IGNORED:
                self._answers.refuse(connection.address, "", "the bytes are no HL7 message in a frame of MLLP", "")
                return None
            if was_empty and reader.has_begun:
                begins = time.monotonic()
        return frame

    def _answer(self, connection: _Connection, opened: socket.socket, frame: bytes) -> bool:
        """Answer a message; return False if the connection is to be closed."""
        connection.is_answering = True
        try:
            reply = self._answers.answer(frame, connection.address)
            if reply is None:
                return False
            opened.settimeout(FRAME_TIMEOUT_S)
            opened.sendall(framed(reply))
        finally:
            connection.is_answering, connection.last_at = False, time.monotonic()
        return True

    def _reject_long(self, connection: _Connection, opened: socket.socket, reader: FrameReader) -> None:
        reason = f"The message has more than {MAXIMUM_MESSAGE_BYTES} bytes"
        reply = self._answers.reject_unread(reader.begun(_HEAD), connection.address, reason)
        if reply is not None:
            opened.settimeout(FRAME_TIMEOUT_S)
            opened.sendall(framed(reply))


def _shut(opened: socket.socket) -> None:
    """Wake the thread of a connection, which then closes it."""
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
