"""One process of a node, without the others."""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from glam_node.node.run.lifeline import keep_private, stop_on_signals
from glam_node.node.run.live_settings import LiveSettings, reload_when
from glam_node.node.run.supervisor import GRACE_S, POLL_INTERVAL_S, Child, Program, attend, module, stop_together
from glam_node.settings.schema import Settings


def keep_running(
    role: str,
    settings: Settings,
    settings_path: Path | None,
    *,
    grace_s: float = GRACE_S,
    ready: Callable[[str], None] = lambda _word: None,
) -> None:
    """Run one process of that role, and another when it dies, until SIGTERM or SIGINT; to be called in the main thread.

    On SIGHUP the file at `settings_path` is read anew. `ready` is called with its word whenever one does its work.
    Raises PermanentError when none can start and a person must act.
    """
    keep_private()
    reload = threading.Event()
    stop = stop_on_signals(reload)
    with tempfile.TemporaryDirectory(prefix="glam-node-") as directory:
        live = LiveSettings(settings, settings_path, Path(directory), role)
        child = Child(Program(role, module(role), live.environment(), grace_s))
        said: int | None = None
        try:
            while not stop.wait(POLL_INTERVAL_S):
                reload_when(reload, live, [child])
                attend([child])
                if child.word is not None and said != child.pid:
                    said = child.pid
                    ready(child.word)
        finally:
            stop_together([child])
