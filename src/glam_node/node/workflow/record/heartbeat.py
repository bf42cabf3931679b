"""A heartbeat: a call that is repeated while slow work is in progress."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


@contextmanager
def heartbeat(beat: Callable[[], object], *, every_s: float) -> Iterator[None]:
    """Call `beat` every `every_s` seconds from another thread inside the context, also after a call that failed."""
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
