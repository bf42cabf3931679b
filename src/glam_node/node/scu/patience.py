"""How long a sender waits for the answer to an object: as long as the archive works on it, and not for ever."""

import http.client
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pynetdicom.association import Association

ANSWER_PATIENCE = 10
"""How many times its timeout a peer may work on an object that it has as a whole."""
PROGRESS_EVERY_S = 0.1


@contextmanager
def whole_answer_within(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Read an answer inside, within `seconds` from now; a server that sends it byte by byte would never end otherwise.

    Raises TimeoutError when it takes longer.
    """
    called, late = connection.sock, threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            socket.socket.shutdown(called, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError("timed out")


def wait_patiently(association: Association, timeout: float) -> None:
    """Have what is asked on an association wait for its answer as long as the peer works on it.

    An archive that takes long over an object is not dead: `timeout` counts only while nothing more of the object goes
    out, and after its last byte the answer may take ANSWER_PATIENCE times as long. A host that is gone meanwhile is
    found out by TCP.
    """
    dimse, waiting = association.dimse, association.dul.to_provider_queue

    def answer(block: bool = False) -> Any:
        left, deadline = None, 0.0
        while block:
            unsent = waiting.qsize()
            if left is None or unsent < left:
                left, deadline = unsent, time.monotonic() + timeout * (1 if unsent else ANSWER_PATIENCE)
            elif time.monotonic() >= deadline:
                break
            with suppress(queue.Empty):
                return dimse.msg_queue.get(timeout=PROGRESS_EVERY_S)
        with suppress(queue.Empty):
            return dimse.msg_queue.get(block=False)
        return None, None

    dimse.get_msg = answer  # type: ignore[method-assign]
