"""Says again and again that something slow is still being done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


@contextmanager
def heartbeat(beat: Callable[[], object], *, every_s: float) -> Iterator[None]:
    """Inside, `beat` is called every so often from a thread of its own; a beat that fails is not the last."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            try:
                beat()
            except Exception as error:
                log.warning("heartbeat_failed", failure=type(error).__name__)

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
