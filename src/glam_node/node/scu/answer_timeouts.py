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


class AnswerWait:
    """The wait for the answers to the requests on an association; it takes the place of pynetdicom's own.

    The timeout starts again with every part of a request that is sent: a peer that still receives is not dead. The wait
    ends at once when the peer releases or aborts the association, which pynetdicom notices only after the timeout. It
    measures time by the monotonic clock.

    Args:
        association: An association that is about to be used.
        timeout: The timeout in seconds.
        factor: The factor by which the peer may exceed the timeout once it has received a request completely, because
            it works on it. TCP detects a dead host.
    """

    def __init__(self, association: Association, timeout: float, factor: int = 1) -> None:
        self.silent_s: float | None = None
        """The seconds that the peer was silent until the latest wait was given up; None if it was not given up."""
        self._association, self._timeout, self._factor = association, timeout, factor
        association.dimse.get_msg = self  # type: ignore[method-assign]

    def __call__(self, block: bool = False) -> Any:
        """Return the next message and its presentation context ID, or (None, None) if there is none."""
        messages, waiting = self._association.dimse.msg_queue, self._association.dul.to_provider_queue
        started, left, deadline = time.monotonic(), None, 0.0
        while block:
            unsent = waiting.qsize()
            if left is None or unsent < left:
                left, deadline = unsent, time.monotonic() + self._timeout * (1 if unsent else self._factor)
            elif time.monotonic() >= deadline:
                self.silent_s = time.monotonic() - started
                break
            with suppress(queue.Empty):
                return messages.get(timeout=PROGRESS_EVERY_S)
            if _has_ended(self._association):
                break
        with suppress(queue.Empty):
            return messages.get(block=False)
        return None, None


def silence_of(association: Association) -> float | None:
    """Return the seconds that the peer was silent until a wait for its answer was given up; None if none was."""
    wait = association.dimse.get_msg
    return wait.silent_s if isinstance(wait, AnswerWait) else None


def _has_ended(association: Association) -> bool:
    """Return whether the association has ended; confirm its end if the peer asks for its release.

    pynetdicom notices neither a release nor an abort while a request waits for its answer. If it noticed the end before
    the wait began, it has taken the peer's message from its queue, and the association is not established any more.
    """
    if association.acse.is_release_requested():
        association.acse.send_release(is_response=True)
        association.is_released, association.is_established = True, False
    return not association.is_established or association.acse.is_aborted()
