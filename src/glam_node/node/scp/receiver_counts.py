"""Counts of the connections and associations of all receiver processes of a node, in memory that they share."""

import mmap
import random
import threading
import time

PLACES = 128
"""Maximum number of receiver processes at a time, including those that only finish earlier associations."""
ATTEMPTS = 3
LONGEST_PAUSE_S = 0.005
NOT_ACCEPTING = 0xFFFF
"""The number of connections of a process that accepts no connections."""


class ReceiverCounts:
    """The places of all receiver processes; each process changes only the counts at its own place.

    A receiver process is forked after the counts were made. The parent of all receiver processes assigns the places,
    and clears the place of a process that exits, however it exits.
    """

    def __init__(self) -> None:
        shared = memoryview(mmap.mmap(-1, 4 * PLACES)).cast("H")
        self.connections, self.associations = shared[:PLACES], shared[PLACES:]
        self._free = set(range(PLACES))
        for place in self._free:
            self.clear(place)

    def take(self) -> int | None:
        """Return the number of a free place; None if there is none."""
        return self._free.pop() if self._free else None

    def clear(self, place: int) -> None:
        """Set the counts of a process that has exited to zero."""
        self.connections[place], self.associations[place] = NOT_ACCEPTING, 0

    def give_back(self, place: int) -> None:
        """Clear a place, and let another process take it."""
        self.clear(place)
        self._free.add(place)


class Place:
    """The counts of this process among those of all receiver processes of the node."""

    def __init__(self, counts: ReceiverCounts, number: int) -> None:
        self._counts = counts
        self._number = number
        self._lock = threading.Lock()
        self._connections = 0
        self._is_accepting = True
        self._count(0)

    def connect(self) -> None:
        """Count one more connection."""
        self._count(1)

    def disconnect(self) -> None:
        """Count one connection less."""
        self._count(-1)

    def stop_accepting(self) -> None:
        """Leave further connections to other processes, which then do not wait for this one."""
        with self._lock:
            self._is_accepting = False
        self._count(0)

    def is_least_busy(self) -> bool:
        """Return whether no process of the node has fewer connections than this one."""
        return self._connections <= min(self._counts.connections)

    def associate(self, maximum_associations: int) -> bool:
        """Count one more association; return False if the node has as many as it may have."""
        for attempt in range(ATTEMPTS):
            if attempt:  # two processes may have counted at the same moment, and so kept each other out
                time.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311 - no secret
            with self._lock:
                self._counts.associations[self._number] += 1
                taken = sum(self._counts.associations)
                if taken <= maximum_associations:
                    return True
                self._counts.associations[self._number] -= 1
        return False

    def dissociate(self) -> None:
        """Count one association less."""
        with self._lock:
            self._counts.associations[self._number] -= 1

    def _count(self, more: int) -> None:
        with self._lock:
            self._connections += more
            self._counts.connections[self._number] = self._connections if self._is_accepting else NOT_ACCEPTING
