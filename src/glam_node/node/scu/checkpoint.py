"""A gate that keeps pynetdicom's thread of an association from taking an answer that another thread awaits."""

import threading
import time

from pynetdicom.association import Association

LONGEST_S = 5.0
"""The longest wait for that thread, which may be busy with a request of the peer."""
LOOK_EVERY_S = 0.01


class Checkpoint(threading.Event):
    """The gate of an association's thread, which passes it repeatedly while it is open. It is open at first.

    A thread that clears the gate can rely on the association's thread waiting there. With a plain Event that thread may
    have passed the gate already, and not have gone on yet. It would then read the answer, throw it away as unexpected,
    and the other thread would wait for the peer's timeout.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._turn = threading.Condition()
        self._is_open, self._is_waiting = True, False

    def is_set(self) -> bool:
        """Return whether the gate is open."""
        return self._is_open

    def set(self) -> None:
        """Open the gate."""
        with self._turn:
            self._is_open = True
            self._turn.notify_all()

    def clear(self) -> None:
        """Close the gate, and wait until the association's thread waits there, has ended, or is busy for too long."""
        deadline = time.monotonic() + LONGEST_S
        with self._turn:
            self._is_open = False
            while not self._is_waiting and self._is_elsewhere() and time.monotonic() < deadline:
                self._turn.wait(LOOK_EVERY_S)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - pynetdicom passes none
        """Wait until the gate is open; only the association's thread calls this."""
        with self._turn:
            self._is_waiting = True
            while not self._is_open:
                # Another thread of pynetdicom clears this flag after serving an N-EVENT-REPORT on this association. The
                # thread that closed the gate would then wait for the flag forever.
                self._association._is_paused = True
                self._turn.notify_all()
                self._turn.wait(LOOK_EVERY_S)
            self._is_waiting = False
        return True

    def _is_elsewhere(self) -> bool:
        return self._association.is_alive() and self._association is not threading.current_thread()
