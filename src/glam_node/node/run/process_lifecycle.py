"""The end of a process, together with its parent or by a signal. This module imports little, to start fast.

`python -m glam_node.node.run.process_lifecycle PROGRAM ARGUMENT...` runs a program that ends with its parent.
"""

import ctypes
import os
import signal
import sys
import threading

PARENT = "GLAM_NODE_PARENT"
"""The environment variable with the process ID of the parent; when the parent ends, the child ends, too."""
READY_FD = "GLAM_NODE_READY_FD"
"""The environment variable with the file descriptor to which a child writes a line when it is ready."""
EXIT_PERMANENT = 78
"""The exit code of a process that cannot start until a person acts (EX_CONFIG of sysexits.h)."""
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
RELOAD_SIGNAL = signal.SIGHUP
PR_SET_PDEATHSIG = 1
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


def adopts_orphans() -> bool:
    """Return whether this process becomes the parent of orphaned processes, like the first process in a container."""
    if os.getpid() == 1:
        return True
    adopts = ctypes.c_int()
    is_known = sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts)) == 0
    return is_known and bool(adopts.value)


def keep_private() -> None:
    """Make new files of this process and its children accessible to their user only (0600, directories 0700)."""
    os.umask(0o077)


if __name__ == "__main__":
    die_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the supervisor sets the program and its arguments
