"""Time limits for answers of peers: an archive may work on an object for a long time, but not forever."""

import http.client
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from pynetdicom.association import Association

ANSWER_TIMEOUT_FACTOR = 10
"""Factor by which a peer may exceed its timeout once it has received an object completely."""
PROGRESS_EVERY_S = 0.1
ENDED_EVERY_S = 0.1
"""Seconds between two attempts to end an exchange that takes too long."""


class Connected(Protocol):
    """A connection of the standard library's clients for HTTP and SMTP."""

    sock: socket.socket | None


def limit_answer_time(connection: Connected, seconds: float) -> AbstractContextManager[None]:
    """Limit the time in which an answer is read inside this block.

    Without this limit, the node could wait forever for a server that sends its answer byte by byte.

    Args:
        connection: An open connection.
        seconds: The limit from now on.

    Raises:
        TimeoutError: The answer took longer.
    """
    # `connection.sock` becomes None when the server announces that it will close the connection after its answer.
    called = connection.sock
    return ended_after(seconds, lambda: [called] if called is not None else [])


@contextmanager
def ended_after(seconds: float, sockets: Callable[[], Iterable[socket.socket]]) -> Iterator[None]:
    """Shut down the sockets that this block uses if it takes longer than `seconds`.

    Args:
        seconds: The limit from now on.
        sockets: The function that returns the sockets. After the limit it is called repeatedly, since a connection may
            get another socket.

    Raises:
        TimeoutError: The block took longer.
    """
    done, late = threading.Event(), threading.Event()

    def end() -> None:
        if not done.wait(seconds):
            late.set()
            _shut_down(sockets)
            while not done.wait(ENDED_EVERY_S):
                _shut_down(sockets)

    threading.Thread(target=end, daemon=True).start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not late.is_set():
            raise
    finally:
        done.set()
    if late.is_set():
        raise TimeoutError("timed out")


def _shut_down(sockets: Callable[[], Iterable[socket.socket]]) -> None:
    for one in sockets():
        with suppress(OSError):
            socket.socket.shutdown(one, socket.SHUT_RDWR)


def wait_while_peer_works(association: Association, timeout: float) -> None:
    """Let requests on an association wait for their answers while the peer works on an object.

    An archive that works on an object for a long time is not dead. The timeout starts again with every part of the
    object that is sent. After the last part, the peer may take ANSWER_TIMEOUT_FACTOR times the timeout to answer. TCP
    detects a dead host. The wait ends at once when the peer releases or aborts the association.

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
                left, deadline = unsent, time.monotonic() + timeout * (1 if unsent else ANSWER_TIMEOUT_FACTOR)
            elif time.monotonic() >= deadline:
                break
            with suppress(queue.Empty):
                return dimse.msg_queue.get(timeout=PROGRESS_EVERY_S)
            if _has_ended(association):
                break
        with suppress(queue.Empty):
            return dimse.msg_queue.get(block=False)
        return None, None

    dimse.get_msg = answer  # type: ignore[method-assign]


def _has_ended(association: Association) -> bool:
    """Return whether the peer has ended the association; confirm it if the peer asks for its release.

    pynetdicom notices neither while a request waits for its answer.
    """
    if association.acse.is_release_requested():
        association.acse.send_release(is_response=True)
        association.is_released, association.is_established = True, False
    return association.is_released or association.acse.is_aborted()
