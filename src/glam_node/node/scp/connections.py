"""Track connections, enforce their limits and evict the oldest one that has not requested an association."""

import socket
import threading
from collections import Counter
from dataclasses import dataclass

from glam_node.node.scp.association import Association
from glam_node.node.scp.receiver_counts import Place

MAXIMUM_WAITING = 64
"""Maximum number of connections to a receiver process that have not requested an association."""
MAXIMUM_WAITING_PER_ADDRESS = 16


@dataclass(slots=True)
class _Connected:
    address: str
    association: Association | None = None
    has_ended: bool = False
    """Whether nothing more will be done with the connection than to let the peer read the last PDU."""


class Connections:
    """All connections of a receiver process.

    Connections that have not requested an association are evicted, the oldest first, when a new connection exceeds
    their limits. So silent connections, however many, do not keep other peers out.
    """

    def __init__(self, place: Place, maximum_associations: int) -> None:
        self._place = place
        self._maximum_associations = maximum_associations
        self._lock = threading.Lock()
        self._connected: dict[socket.socket, _Connected] = {}

    def add(self, connection: socket.socket, address: str) -> None:
        """Register a connection; if there are too many, evict the oldest one that has not requested an association."""
        with self._lock:
            self._make_room(address)
            self._connected[connection] = _Connected(address)
        self._place.connect()

    def associate(self, connection: socket.socket, association: Association) -> bool:
        """Register the association of a connection.

        Returns:
            False if the node has as many associations as it may have, or if the connection was evicted.
        """
        if not self._place.associate(self._maximum_associations):
            return False
        with self._lock:
            connected = self._connected.get(connection)
            if connected is not None:
                connected.association = association
                return True
        self._place.dissociate()
        return False

    def end(self, connection: socket.socket) -> None:
        """Make room for other connections, since this one is only open until the peer has read the last PDU."""
        with self._lock:
            connected = self._connected.get(connection)
            if connected is not None:
                self._uncount(connected)

    def remove(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            connected = self._connected.pop(connection, None)
            if connected is not None:
                self._uncount(connected)

    def finish(self) -> None:
        """Stop reading from idle connections; let every other association end after its current message."""
        with self._lock:
            for connection, connected in self._connected.items():
                if connected.association is None or connected.association.ask_to_stop():
                    _shut_down(connection, socket.SHUT_RD)

    def cut_all(self) -> None:
        """Shut down every connection in both directions."""
        with self._lock:
            for connection in self._connected:
                _shut_down(connection, socket.SHUT_RDWR)

    def _make_room(self, address: str) -> None:
        waiting = Counter(connected.address for _, connected in self._waiting())
        if waiting[address] >= MAXIMUM_WAITING_PER_ADDRESS:
            self._evict_oldest_of(address)
        elif waiting.total() >= MAXIMUM_WAITING:
            self._evict_oldest_of(waiting.most_common(1)[0][0])

    def _evict_oldest_of(self, address: str) -> None:
        oldest = next(connection for connection, connected in self._waiting() if connected.address == address)
        self._uncount(self._connected.pop(oldest))
        _shut_down(oldest, socket.SHUT_RDWR)

    def _uncount(self, connected: _Connected) -> None:
        if not connected.has_ended:
            connected.has_ended = True
            self._place.disconnect()
            if connected.association is not None:
                self._place.dissociate()

    def _waiting(self) -> list[tuple[socket.socket, _Connected]]:
        return [one for one in self._connected.items() if one[1].association is None]


def _shut_down(connection: socket.socket, how: int) -> None:
    """Shut down a connection, which wakes the thread that reads from it; SHUT_RD leaves sending possible."""
    try:
        connection.shutdown(how)
    except OSError:
        return
