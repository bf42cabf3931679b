"""The time of a measurement, and the time in which its threads waited for a processor that other programs used."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 10.0
"""Seconds after which a measurement on a busy machine is given up."""
_BUSY = 0.3
"""Share of the time that threads wait for a processor on a busy machine."""
_TASKS = Path("/proc/self/task")


class MachineBusy(Exception):
    """Raised if other programs leave too little of the processor for a measurement."""


def waited_s(tasks: Path = _TASKS) -> float:
    """Return the seconds that the threads of this process have waited for a processor; 0 if the system does not say."""
    waited = 0
    for path in tasks.glob("*/schedstat"):
        # A thread may end meanwhile.
        with suppress(OSError, ValueError, IndexError):
            waited += int(path.read_text(encoding="ascii").split()[1])
    return waited / 1e9


class Stopwatch:
    """The time of a race, and the share of it in which the threads waited for a processor."""

    def __init__(
        self,
        threads: int,
        clock: Callable[[], float] = time.perf_counter,
        waited: Callable[[], float] = waited_s,
    ) -> None:
        self.now = clock
        self._waited, self._threads = waited, threads
        self._started, self._waited_before = clock(), waited()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self.now() - self._started

    def share_waited(self) -> float:
        """Return the share of the time since the start in which a thread waited."""
        return max(self._waited() - self._waited_before, 0.0) / (self.elapsed() * self._threads or 1.0)

    def check(self) -> None:
        """Raise MachineBusy if the race takes long because the machine is busy."""
        if self.elapsed() > PATIENCE_S and self.share_waited() > _BUSY:
            raise MachineBusy("other programs keep the processor busy")
