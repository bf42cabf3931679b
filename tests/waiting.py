"""Waiting in tests: limits are long, since a machine may be busy and only a failure waits until the limit."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(true: Callable[[], bool], seconds: float = 60.0, told: Callable[[], object] = str) -> None:
    """Wait until `true` returns True; fail with the text of `told` after that many seconds.

    The pause between two calls is as long as the last call took, to leave the machine to others.
    """
    asked = time.monotonic()
    deadline = asked + seconds
    while not true():
        answered = time.monotonic()
        assert answered < deadline, f"waited {seconds} s in vain: {told()}"
        time.sleep(max(0.02, answered - asked))
        asked = time.monotonic()


def wait_for_answer(ask: Callable[[], object], *refusals: type[Exception], told: Callable[[], object] = str) -> None:
    """Call `ask` until it raises none of the refusals."""

    def is_answered() -> bool:
        try:
            ask()
        except refusals:
            return False
        return True

    wait_until(is_answered, told=told)


def wait_for_listener(port: int, told: Callable[[], object] = str) -> None:
    """Wait until a program listens on a TCP port of IPv4, without connecting to it."""
    wait_until(lambda: f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text(), told=told)
