"""Protocol data units over a socket (PS3.8 section 9.3), read into one reused buffer within limits of size and time."""

import mmap
import socket
import struct
import time
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
MAXIMUM_ASSOCIATE_LENGTH = 262_144
# Maximum length in bytes of PDUs other than A-ASSOCIATE-RQ and P-DATA-TF.
SHORT_LENGTH = 4
# Bytes allowed beyond the advertised maximum length: some senders do not count the headers.
LENGTH_TOLERANCE = 1024
_HEADER, _LENGTH, _VALUE = struct.Struct(">BBI"), struct.Struct(">I"), struct.Struct(">IBB")
# PS3.8 E.2: the message control header of a command's fragments
COMMAND, LAST_COMMAND = 1, 3
# PS3.8 Table 9-26: source and reason of an A-ABORT
BY_USER, BY_PROVIDER = 0, 2
NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6


class ConnectionLost(Exception):
    """The peer was silent for too long or too slow, or sending to it failed."""

    remedy = "Find out why the sender stalls, or raise node.network_timeout."


class Closed(ConnectionLost):
    """The peer closed the connection, or the node is stopping."""

    remedy = "See the log of the sender: the connection ended there, or on the way."


class Aborted(Closed):
    """The peer sent A-ABORT."""

    remedy = "See the log of the sender, which aborted the association."


class MalformedPDU(Exception):
    """The bytes are not a PDU, are a PDU that is not expected now, or exceed a limit."""

    remedy = "Check that the sender speaks DICOM to this port, and see its log."

    def __init__(self, message: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(message)
        self.reason = reason
        """The reason in an A-ABORT."""


@dataclass(frozen=True, slots=True)
class PDU:
    """One PDU; its body is a view of the buffer, which the next `PDUStream.read` may overwrite."""

    pdu_type: int
    body: memoryview


class PDUStream:
    """A connection that is read by whole PDUs, without copying their bodies."""

    def __init__(self, connection: socket.socket, timeout_s: float, maximum_pdu_length: int) -> None:
        self._connection = connection
        self._timeout_s = self._current_timeout_s = timeout_s
        self._longest = {P_DATA_TF: maximum_pdu_length + LENGTH_TOLERANCE, ASSOCIATE_RQ: MAXIMUM_ASSOCIATE_LENGTH}
        # Room for two of the longest P-DATA-TF: one arrives while the other is read. Anonymous memory uses no RAM
        # before it is written to, so a connection that receives little needs little memory.
        length = 6 + max(2 * self._longest[P_DATA_TF] + 6, MAXIMUM_ASSOCIATE_LENGTH)
        self._buffer = memoryview(mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._start = self._end = 0
        connection.settimeout(timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> PDU:
        """Return the next PDU.

        Raises:
            ConnectionLost: The peer closed the connection, or exceeded the timeout before or after the first byte.
            MalformedPDU: The type of the PDU is unknown, or its length exceeds the limit of its type.
        """
        if self._end == self._start:
            self._receive(time.monotonic() + self._timeout_s)
        deadline = time.monotonic() + self._timeout_s
        self._receive_at_least(6, deadline)
        pdu_type, _, length = _HEADER.unpack_from(self._buffer, self._start)
        if not ASSOCIATE_RQ <= pdu_type <= ABORT:
            raise MalformedPDU(f"0x{pdu_type:02X} is not a PDU type", UNRECOGNIZED_PDU)
        if length > self._longest.get(pdu_type, SHORT_LENGTH):
            raise MalformedPDU(f"a PDU of type 0x{pdu_type:02X} with {length} bytes")
        self._receive_at_least(6 + length, deadline)
        body = self._buffer[self._start + 6 : self._start + 6 + length]
        self._start += 6 + length
        return PDU(pdu_type, body)

    @property
    def has_whole_pdu(self) -> bool:
        """Whether a further whole PDU has arrived; reading it keeps the bodies of earlier PDUs valid."""
        there = self._end - self._start
        return there >= 6 and there >= 6 + int(_LENGTH.unpack_from(self._buffer, self._start + 2)[0])

    @property
    def is_empty(self) -> bool:
        """Whether every byte that has arrived was read."""
        return self._start == self._end

    def send(self, data: bytes) -> None:
        """Send all of `data`. Raises ConnectionLost."""
        self._set_timeout(self._timeout_s)
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise ConnectionLost(f"nothing can be sent: {error}") from error

    def _receive_at_least(self, count: int, deadline: float) -> None:
        if self._start + count > len(self._buffer):
            unread = self._end - self._start
            self._buffer[:unread] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, unread
        while self._end - self._start < count:
            self._receive(deadline)

    def _receive(self, deadline: float) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise ConnectionLost("a PDU took too long")
        # Setting a timeout is a system call: avoid it while most of the time is left.
        self._set_timeout(self._timeout_s if remaining > 0.9 * self._timeout_s else remaining)
        try:
            received = self._connection.recv_into(self._buffer[self._end :])
        except TimeoutError as error:
            raise ConnectionLost("silent for too long") from error
        except OSError as error:
            raise Closed(f"closed by the peer: {error.strerror or error}") from error
        if received == 0:
            raise Closed("closed by the peer")
        self._end += received
        # Without this option some senders wait 40 ms for a delayed acknowledgement. The kernel resets it by itself.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _set_timeout(self, seconds: float) -> None:
        if seconds != self._current_timeout_s:
            self._current_timeout_s = seconds
            self._connection.settimeout(seconds)


def fragments(body: memoryview) -> list[tuple[int, bool, bool, memoryview]]:
    """Split the body of a P-DATA-TF into presentation data values (PS3.8 9.3.5.1 and Annex E.2).

    Returns:
        A tuple (context id, is command, is last, data) for each value; data is a view of `body`.

    Raises:
        MalformedPDU: A value is longer than the PDU.
    """
    values = []
    offset = 0
    while offset < len(body):
        if offset + 6 > len(body):
            raise MalformedPDU("a presentation data value is cut")
        length, context_id, control = _VALUE.unpack_from(body, offset)
        if length < 2 or offset + 4 + length > len(body):
            raise MalformedPDU("a presentation data value is longer than its PDU")
        values.append((context_id, bool(control & 1), bool(control & 2), body[offset + 6 : offset + 4 + length]))
        offset += 4 + length
    return values


def p_data(context_id: int, command_set: bytes, maximum_length: int = 0) -> bytes:
    """Encode a command set as P-DATA-TF PDUs (PS3.8 D.1).

    The length of every fragment is even, unless the maximum length leaves room for only one byte.

    Args:
        context_id: The presentation context.
        command_set: The encoded command set.
        maximum_length: Maximum length in bytes that the peer receives; 0 for no limit.

    Raises:
        MalformedPDU: The maximum length leaves no room for a byte of the command.
    """
    room = maximum_length - 6 if maximum_length else len(command_set)
    if room < 1:
        raise MalformedPDU(f"a maximum length of {maximum_length} bytes leaves no room for an answer")
    step = room & ~1 or 1
    if step >= len(command_set):
        return _p_data(context_id, command_set, LAST_COMMAND)
    starts = range(0, len(command_set), step)
    return b"".join(
        _p_data(context_id, command_set[start : start + step], LAST_COMMAND if start == starts[-1] else COMMAND)
        for start in starts
    )


def _p_data(context_id: int, fragment: bytes, control: int) -> bytes:
    length = len(fragment)
    return struct.pack(">BBIIBB", P_DATA_TF, 0, length + 6, length + 2, context_id, control) + fragment


def associate_rj(result: int, source: int, reason: int) -> bytes:
    """Encode an A-ASSOCIATE-RJ PDU (PS3.8 Table 9-21)."""
    return struct.pack(">BBIBBBB", ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def release_rp() -> bytes:
    """Encode an A-RELEASE-RP PDU."""
    return struct.pack(">BBII", RELEASE_RP, 0, 4, 0)


def abort(source: int, reason: int) -> bytes:
    """Encode an A-ABORT PDU (PS3.8 Table 9-26)."""
    return struct.pack(">BBIBBBB", ABORT, 0, 4, 0, 0, source, reason)
