"""Keeps the thread that pynetdicom has for an association from taking the answer that we wait for."""

import threading
import time

from pynetdicom.association import Association

LONGEST_S = 5.0
"""That thread may be busy with what the peer asked."""
LOOK_EVERY_S = 0.01


class Checkpoint(threading.Event):
    """The gate of an association's thread, which passes it again and again while it is set, as at first.

    Whoever clears it finds the thread waiting there; of a plain Event it may have been let pass and not have gone on
    yet. pynetdicom's thread would then read the message that answers us and throw it away as unexpected, and we would
    wait for it until the peer's timeout.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._turn = threading.Condition()
        self._is_open, self._is_waiting = True, False

    def is_set(self) -> bool:
        """Whether the thread may pass."""
        return self._is_open

    def set(self) -> None:
        """The thread may pass."""
        with self._turn:
            self._is_open = True
            self._turn.notify_all()

    def clear(self) -> None:
        """The thread waits at the gate, or has ended, or is busy for longer than anybody should wait."""
        deadline = time.monotonic() + LONGEST_S
        with self._turn:
            self._is_open = False
            while not self._is_waiting and self._is_elsewhere() and time.monotonic() < deadline:
                self._turn.wait(LOOK_EVERY_S)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - pynetdicom waits without
        """The gate is open; of the association's thread alone."""
        with self._turn:
            self._is_waiting = True
            while not self._is_open:
                # Another thread of pynetdicom's, which has served a report on this association, says at its end that
                # this one goes on: whoever has cleared the gate would wait for ever.
                self._association._is_paused = True
                self._turn.notify_all()
                self._turn.wait(LOOK_EVERY_S)
            self._is_waiting = False
        return True

    def _is_elsewhere(self) -> bool:
        return self._association.is_alive() and self._association is not threading.current_thread()
