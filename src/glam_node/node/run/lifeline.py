"""How a child process ends: with its parent, however that ends, or on a signal. Imports little, to start fast."""

import ctypes
import os
import signal
import sys
import threading

PARENT = "GLAM_NODE_PARENT"
"""Environment variable: the process id of the parent to die with."""
READY_FD = "GLAM_NODE_READY_FD"
"""Environment variable: a file descriptor that takes one line when the process is ready."""
EXIT_PERMANENT = 78
"""EX_CONFIG of sysexits.h: a person must act, starting again will not help."""
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
RELOAD_SIGNAL = signal.SIGHUP
PR_SET_PDEATHSIG = 1
PR_GET_CHILD_SUBREAPER = 37


def die_with_parent() -> None:
    """From here on this process, and what it becomes by exec, is killed when the parent that started it ends.

    Linux only; a process that was not started by one of ours lives on its own.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        die_with(int(parent))


def die_with(parent: int) -> None:
    """The same for a process whose parent is known."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def stop_on_signals(reload: threading.Event | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set; nothing is interrupted half-way. To be called in the main thread.

    `reload` is set by SIGHUP, which otherwise ends the process.

    The interpreter writes the signal to a pipe and a thread waits there: a handler that set the event itself could meet
    the main thread in the middle of the event's own lock.
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


def adopts_orphans() -> bool:
    """Return whether processes whose parent has ended become children of this one, as those of a container do."""
    if os.getpid() == 1:
        return True
    adopts = ctypes.c_int()
    is_known = sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts)) == 0
    return is_known and bool(adopts.value)


def keep_private() -> None:
    """What this process and its children write is for their own user alone: files 0600, directories 0700."""
    os.umask(0o077)
