"""Who is connected: so many associations, so many who have not asked for one yet, and who gives way to whom."""

import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

WAITING = 64
"""Connections that have not asked for an association."""
WAITING_PER_ADDRESS = 16


class Conversation(Protocol):
    """An association that this process serves, or another."""

    def ask_to_stop(self) -> bool:
        """Whether it may be cut now; else it ends by itself once what is half received is whole."""
        ...

    def converse(self) -> bytes:
        """What to say when it is over."""
        ...


@dataclass(slots=True)
class _Connected:
    address: str
    association: Conversation | None = None


class Connections:
    """All connections of a server; those that say nothing give way, the oldest first, so that no number of them
    keeps a good peer out."""

    def __init__(self, maximum_associations: int) -> None:
        self._maximum_associations = maximum_associations
        self._lock = threading.Lock()
        self._connected: dict[socket.socket, _Connected] = {}

    def allow(self, maximum_associations: int) -> None:
        """So many at once from here on; those that are open go on."""
        self._maximum_associations = maximum_associations

    def add(self, connection: socket.socket, address: str) -> None:
        """`connection` may ask for an association; another that has not asked may have been cut for it."""
        with self._lock:
            self._make_room(address)
            self._connected[connection] = _Connected(address)

    def associate(self, connection: socket.socket, association: Conversation) -> bool:
        """Whether there is room for one association more, which `connection` has then."""
        with self._lock:
            connected = self._connected.get(connection)
            serving = sum(other.association is not None for other in self._connected.values())
            if connected is None or serving >= self._maximum_associations:
                return False
            connected.association = association
            return True

    def remove(self, connection: socket.socket) -> None:
        """`connection` counts no more."""
        with self._lock:
            self._connected.pop(connection, None)

    def finish(self) -> None:
        """Connections on which nothing is half received are at their end; the others are, once that is over."""
        with self._lock:
            for connection, connected in self._connected.items():
                if connected.association is None or connected.association.ask_to_stop():
                    _cut(connection, socket.SHUT_RD)

    def cut_all(self) -> None:
        """Every connection is cut."""
        with self._lock:
            for connection in self._connected:
                _cut(connection, socket.SHUT_RDWR)

    def _make_room(self, address: str) -> None:
        waiting = Counter(connected.address for _, connected in self._waiting())
        if waiting[address] >= WAITING_PER_ADDRESS:
            self._cut_oldest_of(address)
        elif waiting.total() >= WAITING:
            self._cut_oldest_of(waiting.most_common(1)[0][0])

    def _cut_oldest_of(self, address: str) -> None:
        oldest = next(connection for connection, connected in self._waiting() if connected.address == address)
        del self._connected[oldest]
        _cut(oldest, socket.SHUT_RDWR)

    def _waiting(self) -> list[tuple[socket.socket, _Connected]]:
        return [one for one in self._connected.items() if one[1].association is None]


def _cut(connection: socket.socket, how: int) -> None:
    """Whoever reads from it finds its end; with SHUT_RD, what is to be sent still goes."""
    try:
        connection.shutdown(how)
    except OSError:
        return
