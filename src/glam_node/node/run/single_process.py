"""A single supervised process of a node, for nodes that run on several machines."""

import fcntl
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glam_node.node.run.live_settings import LiveSettings
from glam_node.node.run.process_lifecycle import NotedSignals, keep_private
from glam_node.node.run.supervisor import POLL_INTERVAL_S, Child, attend, role_program, stop_together
from glam_node.settings.schema import Settings


def keep_running(
    role: str,
    settings: Settings,
    settings_path: Path | None,
    *,
    ready: Callable[[str], None] = lambda _word: None,
) -> None:
    """Supervise a child process from the main thread, and restart it when it exits, until SIGTERM or SIGINT.

    Args:
        role: The name of the process's module in this package.
        settings: The settings of the process.
        settings_path: The file to read again on SIGHUP.
        ready: Called with the message of the process whenever it has started and is ready.

    Raises:
        PermanentError: The process cannot start until a person acts.
    """
    keep_private()
    signals = NotedSignals()
    with lasting_directory() as directory:
        live = LiveSettings(settings, settings_path, directory, role)
        program = role_program(role, live.environment())
        gc.freeze()  # a collection would write to the memory that the processes share
        gc.enable()
        child = Child(program)
        said: int | None = None
        try:
            while not signals.wait(POLL_INTERVAL_S):
                live.attend(signals.take_reload, [child])
                attend([child])
                if child.word is not None and said != child.pid:
                    said = child.pid
                    ready(child.word)
        finally:
            stop_together([child])


@contextmanager
def lasting_directory() -> Iterator[Path]:
    """Create a temporary directory, locked so that systemd-tmpfiles does not remove its files after ten days."""
    with tempfile.TemporaryDirectory(prefix="glam-node-") as directory:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield Path(directory)
        finally:
            os.close(descriptor)
