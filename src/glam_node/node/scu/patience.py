"""Time limits for answers to objects: they allow an archive to work for long, but not forever."""

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
"""Factor by which a peer may exceed its timeout once it has received an object completely."""
PROGRESS_EVERY_S = 0.1


@contextmanager
def whole_answer_within(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Limit the time in which an answer is read inside this block.

    Otherwise a server that sends its answer byte by byte would never end.

    Args:
        connection: An open connection.
        seconds: The limit from now on.

    Raises:
        TimeoutError: The answer took longer.
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
    """Let requests on an association wait for their answers as long as the peer works on an object.

    An archive that works on an object for long is not dead. The timeout counts only while no more of the object is
    sent, and after its last byte the answer may take ANSWER_PATIENCE times as long. TCP detects a host that is gone
    meanwhile.

    Args:
        association: An established association.
        timeout: The timeout in seconds.
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
