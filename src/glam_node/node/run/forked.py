"""Processes that run a function of their parent, with which they share memory."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import structlog

from glam_node.node.run.process_lifecycle import RELOAD_SIGNAL, STOP_SIGNALS, die_with

log = structlog.get_logger(__name__)

POLL_S = 0.02


class ForkedProcess:
    """A process that runs a function, with the attributes of subprocess.Popen that a supervisor needs.

    The parent must have no other threads. The process gets signals only once the function calls `unblock_signals`.
    """

    def __init__(self, run: Callable[[], object]) -> None:
        self.returncode: int | None = None
        parent, before = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {RELOAD_SIGNAL})
        self.pid = os.fork()
        if self.pid == 0:
            _run_and_exit(run, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS | {RELOAD_SIGNAL})


def _run_and_exit(run: Callable[[], object], parent: int) -> None:
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
        os._exit(exit_code)
