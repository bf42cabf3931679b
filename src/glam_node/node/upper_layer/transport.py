"""A connection for pynetdicom's associations that never waits for half a PDU and rewrites what its parser fails on."""

import ssl
import struct
from collections.abc import Callable

from pynetdicom.transport import T_CONNECT, AssociationSocket

P_DATA_TF = 4
LONGEST_PDU = 4 * 2**20
"""Maximum length in bytes of a received PDU; pynetdicom asks peers for at most 16 KiB."""
_AT_ONCE = 65_536
_HEADER = struct.Struct(">BBI")

Rewrite = Callable[[bytes], bytes]
"""Function that rewrites a PDU, other than a P-DATA-TF, so that pynetdicom understands it."""


class WholePDUs(AssociationSocket):
    """A connection that is ready only when a whole PDU or the end of the connection has arrived.

    pynetdicom reads in the thread that also sends and checks timeouts. If that thread waited for the rest of a PDU, or
    for TLS data after a session ticket, no timeout would take effect.
    """

    def __init__(self, plain: AssociationSocket, rewrite: Rewrite) -> None:
        """Replace `plain`, which must not be used afterwards."""
        vars(self).update(vars(plain))
        self._rewrite = rewrite
        self._received, self._whole, self._has_ended = bytearray(), bytearray(), False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, and limit the time of each later send to the connection timeout."""
        super().connect(primitive)
        if self.socket is not None:
            self.socket.settimeout(self.assoc.connection_timeout)

    @property
    def ready(self) -> bool:
        """Whether a whole PDU or the end of the connection has arrived for `recv`."""
        if self.socket is None or not self._is_connected:
            return False
        if not self._whole and not self._take_one():
            self._gather()
            self._take_one()
        return bool(self._whole) or self._has_ended

    def recv(self, nr_bytes: int) -> bytearray:
        """Return up to `nr_bytes` bytes of the PDU that has arrived, none at the end of the connection."""
        piece = self._whole[:nr_bytes]
        del self._whole[:nr_bytes]
        return piece

    def _gather(self) -> None:
        """Read the bytes that have arrived, without waiting."""
        line = self.socket
        if line is None or self._has_ended:
            return
        patience = line.gettimeout()
        try:
            line.settimeout(0)
            piece = line.recv(_AT_ONCE)
            line.settimeout(patience)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            line.settimeout(patience)
        except OSError:
            self._has_ended = True
        else:
            self._received += piece
            self._has_ended = not piece

    def _take_one(self) -> bool:
        """Move a whole PDU to `_whole`; return whether there was one."""
        if len(self._received) < _HEADER.size:
            return False
        kind, _, length = _HEADER.unpack_from(self._received)
        end = _HEADER.size + length
        self._has_ended = self._has_ended or length > LONGEST_PDU
        if len(self._received) < end or length > LONGEST_PDU:
            return False
        pdu = bytes(self._received[:end])
        del self._received[:end]
        self._whole += pdu if kind == P_DATA_TF else self._rewrite(pdu)
        return True
