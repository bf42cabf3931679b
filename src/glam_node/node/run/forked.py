"""Processes that run a function of their parent, with which they share memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NoReturn

import structlog

from glam_node.node.run.process_lifecycle import RELOAD_SIGNAL, STOP_SIGNALS, die_with, set_name

log = structlog.get_logger(__name__)

POLL_S = 0.02
HANDLED_SIGNALS = STOP_SIGNALS | {RELOAD_SIGNAL}


class ForkedProcess:
    """A process that runs a function, with the attributes of subprocess.Popen that a supervisor needs.

    The parent must have no other threads: a lock that one of them holds would stay locked in the process. The process
    ends when the parent does, has its open files, and gets signals only once the function calls `unblock_signals` or
    `execute`.

    Args:
        run: The function. A SystemExit that it raises is the exit code; another exception is logged.

    Raises:
        OSError: The system has no memory or no process ID left.
    """

    def __init__(self, run: Callable[[], object]) -> None:
        self.returncode: int | None = None
        flush_streams()
        parent, before = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _run_and_exit(run, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs; 0 if its exit code was lost, as subprocess.Popen."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit, and return the exit code. Raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and timeout is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(POLL_S)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the process has exited."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def unblock_signals() -> None:
    """Let this forked process get the signals that were blocked while it was forked; call this in the main thread."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)


def execute(command: list[str]) -> NoReturn:
    """Replace this forked process by another program, which signals end and which also ends with its parent."""
    for number in HANDLED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    unblock_signals()
    os.execv(command[0], command)  # noqa: S606 - the supervisor sets the program and its arguments


def run_apart(name: str, run: Callable[[], object], environment: Mapping[str, str], files: Iterable[int]) -> None:
    """Run a function in this forked process, with what a program that is executed has of its own.

    Args:
        name: The name of the process.
        run: The function.
        environment: The environment; the variables of the parent are removed.
        files: The descriptors of open files that the process keeps across an exec.
    """
    os.setsid()  # so that Ctrl-C reaches the parent only
    set_name(name)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    for number in files:
        os.set_inheritable(number, True)
    run()


def flush_streams() -> None:
    """Write what the standard streams hold, so that a process that is forked does not write it again."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _run_and_exit(run: Callable[[], object], parent: int) -> NoReturn:
    exit_code = 1
    try:
        die_with(parent)
        run()
        exit_code = 0
    except SystemExit as error:
        exit_code = error.code if isinstance(error.code, int) else 1
    except Exception:
        log.exception("process_failed")
    finally:
        flush_streams()
        os._exit(exit_code)
