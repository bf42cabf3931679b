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
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """From here on this process, and what it becomes by exec, is killed when the parent that started it ends.

    Linux only; a process that was not started by one of ours lives on its own.
    """
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(1)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, by a thread that waits for them: nothing is interrupted half-way.

    To be called in the main thread before other threads start; children inherit that the signals are blocked.
    """
    stop = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)

    def wait() -> None:
        signal.sigwait(STOP_SIGNALS)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop


def unblock_signals() -> None:
    """What a parent of ours blocked for itself reaches this process again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
