"""Detection of a worker that no longer receives messages, which can happen after the broker was unreachable."""

import threading
import time
from collections.abc import Callable

import structlog

from glam_node.node.errors import TransientError

log = structlog.get_logger(__name__)

PATIENCE_S = 45.0
CHECK_INTERVAL_S = 5.0


class Watchdog:
    """Monitor that watches a worker from a separate thread; time without a reachable broker does not count."""

    def __init__(
        self,
        messages_waiting: Callable[[], int],
        on_deaf: Callable[[], object],
        *,
        patience_s: float = PATIENCE_S,
        check_interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        self._messages_waiting = messages_waiting
        self._on_deaf = on_deaf
        self._patience_s = patience_s
        self._check_interval_s = check_interval_s
        self._busy = threading.Event()
        self._heard_at = time.monotonic()

    def watched(self, run: Callable[[str], object]) -> Callable[[str], object]:
        """Return `run`, wrapped so that the watchdog knows when a job is in progress."""

        def run_watched(job_id: str) -> object:
            self._busy.set()
            try:
                return run(job_id)
            finally:
                self._heard_at = time.monotonic()
                self._busy.clear()

        return run_watched

    def start(self) -> None:
        """Start the thread that watches the worker."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while not self._is_deaf():
            time.sleep(self._check_interval_s)
        log.error("worker_deaf", silent_s=round(time.monotonic() - self._heard_at))
        self._on_deaf()

    def _is_deaf(self) -> bool:
        """Return whether the worker has been idle for too long while messages waited."""
        if self._busy.is_set() or not self._messages_wait():
            self._heard_at = time.monotonic()
            return False
        return time.monotonic() - self._heard_at > self._patience_s

    def _messages_wait(self) -> bool:
        try:
            return self._messages_waiting() > 0
        except TransientError:
            return False
