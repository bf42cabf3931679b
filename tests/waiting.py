"""How tests wait: long, since a machine may be busy and only a failure takes all of it."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(true: Callable[[], bool], seconds: float = 60.0, told: Callable[[], object] = str) -> None:
    """It is true before the time is over; if not, what is told is the failure's text.

    Who asks leaves the machine alone for as long as the answer took.
    """
    asked = time.monotonic()
    deadline = asked + seconds
    while not true():
        answered = time.monotonic()
        assert answered < deadline, f"waited {seconds} s in vain: {told()}"
        time.sleep(max(0.02, answered - asked))
        asked = time.monotonic()


def wait_for_answer(ask: Callable[[], object], *refusals: type[Exception], told: Callable[[], object] = str) -> None:
    """Asking raises none of the refusals any more."""

    def is_answered() -> bool:
        try:
            ask()
        except refusals:
            return False
        return True

    wait_until(is_answered, told=told)


def wait_for_listener(port: int, told: Callable[[], object] = str) -> None:
    """Something listens at a TCP port of IPv4, which is not connected to."""
    wait_until(lambda: f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text(), told=told)
