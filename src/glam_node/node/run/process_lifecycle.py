"""The end of a process, together with its parent or by a signal. This module imports little, to start fast.

`python -m glam_node.node.run.process_lifecycle PROGRAM ARGUMENT...` runs a program that ends with its parent.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Set
from contextlib import suppress

PARENT = "GLAM_NODE_PARENT"
"""The environment variable with the process ID of the parent; when the parent ends, the child ends, too."""
READY_FD = "GLAM_NODE_READY_FD"
"""The environment variable with the file descriptor to which a child writes lines about itself, as JSON."""
SOCKETS = "GLAM_NODE_SOCKETS"
"""The environment variable with the file descriptors of the listening sockets that a child inherits."""
EXIT_PERMANENT = 78
"""The exit code of a process that cannot start until a person acts (EX_CONFIG of sysexits.h)."""
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
RELOAD_SIGNAL = signal.SIGHUP
POLL_S = 0.1
LONGEST_REFUSAL = 500
"""Longest reason in characters; the system writes a line of this length to a pipe in one piece."""
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_GET_CHILD_SUBREAPER = 37


def die_with_parent() -> None:
    """Have the kernel kill this process, also after an exec, when the parent that started it ends.

    This works on Linux only, and does nothing in a process that no glam-node process started.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        die_with(int(parent))


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent with this process ID ends; exit if it has already ended."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def set_name(name: str) -> None:
    """Set the name, of at most 15 characters, that `top`, `ps -o comm` and the kernel's messages show; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


def stop_on_signals(reload: threading.Event | None = None) -> threading.Event:
    """Return an event that SIGTERM and SIGINT set instead of ending the process; call this in the main thread.

    The interpreter writes signals to a pipe, which a thread reads: a signal handler that set the event itself could
    deadlock if it interrupts the main thread while the main thread holds the event's lock.

    Args:
        reload: An event for SIGHUP to set; without it, SIGHUP ends the process.
    """
    stop = threading.Event()
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in STOP_SIGNALS if reload is None else STOP_SIGNALS | {RELOAD_SIGNAL}:
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        while os.read(read_fd, 1)[0] == RELOAD_SIGNAL:
            if reload is not None:
                reload.set()
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop


class NotedSignals(threading.Event):
    """An event that SIGTERM and SIGINT set, without a thread and without locks; SIGHUP is noted, too.

    Create it in the main thread, which alone may wait for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._noted: set[int] = set()
        for number in STOP_SIGNALS | {RELOAD_SIGNAL}:
            signal.signal(number, lambda number, _: self._noted.add(number))

    def is_set(self) -> bool:
        """Return whether SIGTERM or SIGINT has arrived."""
        return bool(self._noted & STOP_SIGNALS)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until SIGTERM or SIGINT arrives, or for `timeout` seconds; return whether one has arrived."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (deadline is None or time.monotonic() < deadline):
            time.sleep(POLL_S if deadline is None else max(min(deadline - time.monotonic(), POLL_S), 0))
        return self.is_set()

    def take_reload(self) -> bool:
        """Return whether SIGHUP has arrived since the last call."""
        arrived = RELOAD_SIGNAL in self._noted
        self._noted.discard(RELOAD_SIGNAL)
        return arrived


class ParentPipe:
    """The pipe to the parent: a line when this process is ready, and one when it accepts or refuses its settings."""

    def __init__(self) -> None:
        fd = os.environ.pop(READY_FD, None)
        self._fd = None if fd is None else int(fd)
        if self._fd is not None:
            os.set_inheritable(self._fd, False)

    def ready(self, word: str = "") -> None:
        """Report that this process is ready, with `word` as the message."""
        self._write(ready=word)

    def answer(self, refused: str) -> None:
        """Report why the settings are refused, or, with an empty text, that they are in force."""
        self._write(refused=refused[:LONGEST_REFUSAL])

    def close(self) -> None:
        """Close the pipe in a process that was forked."""
        if self._fd is not None:
            os.close(self._fd)

    def _write(self, **said: str) -> None:
        if self._fd is not None:
            os.write(self._fd, f"{json.dumps(said)}\n".encode())


def inherited_sockets() -> list[socket.socket]:
    """Return the listening sockets that the parent has opened for this process."""
    return [socket.socket(fileno=int(fd)) for fd in os.environ.pop(SOCKETS, "").split()]


def adopts_orphans() -> bool:
    """Return whether this process becomes the parent of orphaned processes, like the first process in a container."""
    if os.getpid() == 1:
        return True
    adopts = ctypes.c_int()
    is_known = sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts)) == 0
    return is_known and bool(adopts.value)


def reap_orphans(ours: Set[int]) -> None:
    """Reap orphaned processes that have exited, but not our own children, whose exit codes are still needed."""
    with suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, 0)


def keep_private() -> None:
    """Make new files of this process and its children accessible to their user only (0600, directories 0700)."""
    os.umask(0o077)


if __name__ == "__main__":
    die_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the supervisor sets the program and its arguments
