"""One process of a node, without the others."""

from collections.abc import Callable
from pathlib import Path

from glam_node.node.run.lifeline import keep_private, stop_on_signals
from glam_node.node.run.process import child_environment
from glam_node.node.run.supervisor import GRACE_S, POLL_INTERVAL_S, Child, Program, module, stop_together


def keep_running(
    role: str,
    settings_path: Path | None,
    *,
    grace_s: float = GRACE_S,
    ready: Callable[[str], None] = lambda _word: None,
) -> None:
    """Run one process of that role, and another when it dies, until SIGTERM or SIGINT; to be called in the main thread.

    `ready` is called with its word whenever one does its work. Raises PermanentError when none can start and a person
    must act.
    """
    keep_private()
    stop = stop_on_signals()
    child = Child(Program(role, module(role), child_environment(settings_path), grace_s))
    said: int | None = None
    try:
        while not stop.wait(POLL_INTERVAL_S):
            child.look()
            if child.word is not None and said != child.pid:
                said = child.pid
                ready(child.word)
    finally:
        stop_together([child])
