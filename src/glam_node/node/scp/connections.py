"""Track connections, enforce their limits and evict the oldest one that has not requested an association."""

import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

MAXIMUM_WAITING = 64
"""Maximum number of connections that have not requested an association."""
MAXIMUM_WAITING_PER_ADDRESS = 16


class ServedAssociation(Protocol):
    """An association that is served by this process or by a helper process."""

    def ask_to_stop(self) -> bool:
        """Request the end after the current message; return True if there is none and the connection may be cut."""
        ...

    def serve(self) -> bytes:
        """Serve the association and return the last PDU for the peer, empty if there is none."""
        ...


@dataclass(slots=True)
class _Connected:
    address: str
    association: ServedAssociation | None = None


class Connections:
    """All connections of a server.

    Connections that have not requested an association are evicted, the oldest first, when a new connection exceeds
    their limits. So silent connections, however many, do not keep other peers out.
    """

    def __init__(self, maximum_associations: int) -> None:
        self._maximum_associations = maximum_associations
        self._lock = threading.Lock()
        self._connected: dict[socket.socket, _Connected] = {}

    def set_limit(self, maximum_associations: int) -> None:
        """Change the maximum number of associations; open associations stay open."""
        self._maximum_associations = maximum_associations

    def add(self, connection: socket.socket, address: str) -> None:
        """Register a connection; if there are too many, evict the oldest one that has not requested an association."""
        with self._lock:
            self._make_room(address)
            self._connected[connection] = _Connected(address)

    def associate(self, connection: socket.socket, association: ServedAssociation) -> bool:
        """Register the association of a connection; return False at the limit, or if the connection was evicted."""
        with self._lock:
            connected = self._connected.get(connection)
            serving = sum(other.association is not None for other in self._connected.values())
            if connected is None or serving >= self._maximum_associations:
                return False
            connected.association = association
            return True

    def remove(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connected.pop(connection, None)

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
        del self._connected[oldest]
        _shut_down(oldest, socket.SHUT_RDWR)

    def _waiting(self) -> list[tuple[socket.socket, _Connected]]:
        return [one for one in self._connected.items() if one[1].association is None]


def _shut_down(connection: socket.socket, how: int) -> None:
    """Shut down a connection, which wakes the thread that reads from it; SHUT_RD leaves sending possible."""
    try:
        connection.shutdown(how)
    except OSError:
        return
