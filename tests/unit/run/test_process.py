"""Retries of a process after failures, and its end by a signal."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial

import pytest
from structlog.testing import capture_logs

from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.run.process import repeat, until_it_works

AWAY = TransientError("the database is away")


def failing(times: int, error: Exception = AWAY) -> Callable[[], str]:
    """Return an action that succeeds after a number of failures."""
    failures = iter([error] * times)

    def act() -> str:
        for failure in failures:
            raise failure
        return "done"

    return act


def test_an_action_is_retried_until_the_missing_system_is_back() -> None:
    assert until_it_works(failing(1), threading.Event()) == "done"


def test_a_failure_is_logged_once_and_so_is_its_end() -> None:
    with capture_logs() as logs:
        until_it_works(failing(2), threading.Event())
    assert [(line["event"], line.get("failure")) for line in logs] == [
        ("trouble", "the database is away"),
        ("trouble_over", None),
    ]


def test_a_failure_that_names_another_file_each_time_is_logged_once_a_minute() -> None:
    failures = iter([OSError(2, "missing", f"/storage/.{number}.part") for number in range(3)])

    def act() -> None:
        for failure in failures:
            raise failure

    with capture_logs() as logs:
        until_it_works(act, threading.Event(), Exception)
    assert [line["event"] for line in logs] == ["trouble", "trouble_over"]


def test_a_permanent_error_is_not_retried() -> None:
    with pytest.raises(PermanentError):
        until_it_works(failing(1, PermanentError("no")), threading.Event())


def test_retries_end_when_the_process_is_asked_to_stop() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert until_it_works(failing(1000), stop) is None


def test_a_loop_continues_after_an_unexpected_error() -> None:
    stop, act = threading.Event(), failing(1, KeyError("a fault of ours"))

    def tick() -> None:
        act()
        stop.set()

    repeat(tick, every_s=0.01, stop=stop)
    assert stop.is_set()


def test_a_loop_continues_as_early_as_its_function_says() -> None:
    stop, pauses = threading.Event(), iter([0.01, 0.01, 60.0])

    def tick() -> float:
        pause = next(pauses)
        if pause == 60:
            stop.set()
        return pause

    repeat(tick, every_s=60, stop=stop)
    assert next(pauses, None) is None


def test_a_loop_continues_at_once_when_it_is_woken() -> None:
    stop, wake, called = threading.Event(), threading.Event(), threading.Semaphore(0)
    loop = threading.Thread(target=partial(repeat, called.release, every_s=60, stop=stop, wake=wake))
    loop.start()
    for _ in range(3):
        assert called.acquire(timeout=5)
        wake.set()
    stop.set()
    wake.set()
    loop.join(5)
    assert not loop.is_alive()


STOPPABLE = """
from glam_node.node.run.process_lifecycle import stop_on_signals
stop = stop_on_signals()
print("ready", flush=True)
stop.wait()
print("in order", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_in_order(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPABLE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        assert process.stdout.readline() == "in order\n"
        assert process.wait(5) == 0
