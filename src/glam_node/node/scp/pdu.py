"""Protocol data units from a socket into one reused buffer (PS3.8 section 9.3)."""

import socket
import struct
import time
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
MAXIMUM_ASSOCIATE_LENGTH = 262_144
# A PDU of these types has 4 bytes.
SHORT_LENGTH = 4
BUFFER_LENGTH = 1_048_576 + 65_536
SLACK = 1024


class ConnectionLost(Exception):
    """The peer closed, was silent too long, or was too slow."""


class MalformedPDU(Exception):
    """What came is not the upper layer protocol, or longer than agreed."""


@dataclass(frozen=True, slots=True)
class PDU:
    """One PDU; `body` is only valid until the next is read."""

    pdu_type: int
    body: memoryview


class PDUReader:
    """Reads whole PDUs; a recv brings as many as have arrived, none is copied."""

    def __init__(self, connection: socket.socket, timeout_s: float, maximum_pdu_length: int) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._longest = {P_DATA_TF: maximum_pdu_length + SLACK, ASSOCIATE_RQ: MAXIMUM_ASSOCIATE_LENGTH}
        self._buffer = memoryview(bytearray(BUFFER_LENGTH))
        self._start = self._end = 0

    def read(self) -> PDU:
        """The next PDU. Raises ConnectionLost, MalformedPDU.

        A PDU must be complete within the timeout after its first byte, whatever its pieces.
        """
        if self._end == self._start:
            self._receive(time.monotonic() + self._timeout_s)
        deadline = time.monotonic() + self._timeout_s
        self._need(6, deadline)
        pdu_type, _, length = struct.unpack_from(">BBI", self._buffer, self._start)
        longest = self._longest.get(pdu_type, SHORT_LENGTH)
        if pdu_type not in range(ASSOCIATE_RQ, ABORT + 1) or length > longest:
            raise MalformedPDU(f"PDU of type 0x{pdu_type:02X} with {length} bytes")
        self._need(6 + length, deadline)
        body = self._buffer[self._start + 6 : self._start + 6 + length]
        self._start += 6 + length
        return PDU(pdu_type, body)

    def _need(self, count: int, deadline: float) -> None:
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
        self._connection.settimeout(remaining)
        try:
            received = self._connection.recv_into(self._buffer[self._end :])
        except TimeoutError as error:
            raise ConnectionLost("silent for too long") from error
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if received == 0:
            raise ConnectionLost("closed by the peer")
        self._end += received
        _acknowledge_at_once(self._connection)


def _acknowledge_at_once(connection: socket.socket) -> None:
    """Without it real senders wait 40 ms for a delayed acknowledgement; the kernel forgets the option by itself."""
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def fragments(body: memoryview) -> list[tuple[int, bool, bool, memoryview]]:
    """(context id, is command, is last, data) of each presentation data value (PS3.8 9.3.5.1 and annex E.2)."""
    values = []
    offset = 0
    while offset < len(body):
        if offset + 6 > len(body):
            raise MalformedPDU("a presentation data value is cut")
        length, context_id, control = struct.unpack_from(">IBB", body, offset)
        if length < 2 or offset + 4 + length > len(body):
            raise MalformedPDU("a presentation data value is longer than its PDU")
        values.append((context_id, bool(control & 1), bool(control & 2), body[offset + 6 : offset + 4 + length]))
        offset += 4 + length
    return values


def p_data(context_id: int, command_set: bytes) -> bytes:
    """A P-DATA-TF PDU with one whole command."""
    return struct.pack(">BBIIBB", P_DATA_TF, 0, len(command_set) + 6, len(command_set) + 2, context_id, 3) + command_set


def associate_rj(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ PDU (PS3.8 table 9-21)."""
    return struct.pack(">BBIBBBB", ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def release_rp() -> bytes:
    """An A-RELEASE-RP PDU."""
    return struct.pack(">BBII", RELEASE_RP, 0, 4, 0)


def abort(source: int, reason: int) -> bytes:
    """An A-ABORT PDU (PS3.8 table 9-26): source 2 is the upper layer itself."""
    return struct.pack(">BBIBBBB", ABORT, 0, 4, 0, 0, source, reason)
