"""The common parts of the node's processes: settings, signals, readiness, and retries on failure."""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import structlog
from structlog.typing import EventDict
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from glam_node.node.bootstrap.base_node import BaseNode, database_trouble
from glam_node.node.db.engine import SessionFactory
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.observe import logs
from glam_node.node.run.forked import unblock_signals
from glam_node.node.run.process_lifecycle import (
    EXIT_PERMANENT,
    ParentPipe,
    die_with_parent,
    keep_private,
    stop_on_signals,
)
from glam_node.node.workflow.record.events import record_start, record_stop
from glam_node.node.workflow.record.failure import describe
from glam_node.settings.environment import SETTINGS_VARIABLE
from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.reference import secrets_in
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from glam_node.node.bootstrap import Node

T = TypeVar("T")
N = TypeVar("N", bound=BaseNode)

LONGEST_PAUSE_S = 5.0
TRACEBACK_EVERY_S = 60.0


@dataclass(slots=True)
class Process(Generic[N]):
    """A running process of the node."""

    role: str
    node: N
    stop: threading.Event
    """The event that SIGTERM and SIGINT set."""
    drain: threading.Event
    """The event that SIGHUP sets: the work in progress is to be finished, and a successor does the rest."""
    parent: ParentPipe

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.node.settings

    def ready(self, word: str = "") -> None:
        """Report to the parent, once, that this process is ready, with `word` as the message."""
        self.parent.ready(word)


Running: TypeAlias = "Process[Node]"
"""A running process that uses the whole node."""


def run_process(role: str, work: Callable[[Running], None]) -> None:
    """Run `work` in this process, with a node built from the settings that the environment names.

    Args:
        role: The name of the process, for logs and the audit trail.
        work: A function that works until `stop` is set. If it raises a NodeError, the process exits with an error code.
    """
    from glam_node.node.bootstrap import build_node

    gc.freeze()  # the modules stay: no collection needs to examine them
    gc.enable()
    die_with_parent()
    keep_private()
    logs.guard_tracebacks()
    drain = threading.Event()
    stop = stop_on_signals(drain)
    unblock_signals()
    settings = settings_or_exit()
    set_up_logs(role, settings)
    parent = ParentPipe()
    with exit_on_failure(parent):
        node = until_it_works(lambda: build_node(settings), stop)
        if node is not None:
            running = Process(role, node, stop, drain, parent)
            audit_start(running)
            try:
                work(running)
            finally:
                audit_stop(running)
                node.sessions.kw["bind"].dispose()


def settings_or_exit() -> Settings:
    """Return the settings that the environment names; exit with their mistakes if there are any."""
    try:
        return load_settings(None, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_PERMANENT)


@contextmanager
def exit_on_failure(parent: ParentPipe) -> Iterator[None]:
    """Exit after an error of the node, with an exit code that says whether a restart may help, and tell the parent."""
    try:
        yield
    except NodeError as error:
        log.error("process_failed", failure=str(error))
        parent.answer(str(error))
        sys.exit(EXIT_PERMANENT if isinstance(error, PermanentError) else 1)


def audit_start(running: Process[N]) -> None:
    """Record in the audit trail that this process starts."""
    until_it_works(lambda: _note(running.node, running.role, record_start), running.stop)


def audit_stop(running: Process[N]) -> None:
    """Record in the audit trail that this process stops, if the database answers."""
    try:
        _note(running.node, running.role, record_stop)
    except NodeError as error:
        log.warning("stop_not_recorded", failure=str(error))


def _note(node: BaseNode, role: str, note: Callable[[SessionFactory, str, datetime], None]) -> None:
    with database_trouble(node.settings):
        note(node.sessions, role, datetime.now(UTC))


def set_up_logs(role: str, settings: Settings) -> None:
    """Configure the logs by the settings, and add the name of the process to every line."""
    logs.configure(settings.log.level, settings.log.format, secrets_in(settings))

    def sign(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": role}

    structlog.configure(processors=[sign, *structlog.get_config()["processors"]])


def child_environment(settings_path: Path | None) -> dict[str, str]:
    """Return the environment in which a child process finds the settings file."""
    if settings_path is None:
        return dict(os.environ)
    return {**os.environ, SETTINGS_VARIABLE: str(settings_path.resolve())}


def repeat(
    tick: Callable[[], object], *, every_s: float, stop: threading.Event, wake: threading.Event | None = None
) -> None:
    """Call `tick` until `stop` is set; while it fails, retry as `until_it_works` does.

    Args:
        tick: The function to call. If it returns a number of seconds (float), the next call is that much later at most.
        every_s: Seconds between calls.
        stop: An event that ends the calls.
        wake: An event after which the next call follows at once. Set it after `stop`, too.
    """
    waited = wake or stop
    while not stop.is_set():
        sooner = until_it_works(tick, stop, Exception)
        waited.wait(min(every_s, sooner) if isinstance(sooner, float) else every_s)
        if wake is not None:
            wake.clear()


def until_it_works(
    action: Callable[[], T], stop: threading.Event, trouble: type[Exception] = TransientError
) -> T | None:
    """Call `action` until it succeeds, with growing pauses, and log each new failure once.

    Of an error that is not of glam-node, a traceback is logged at most once in TRACEBACK_EVERY_S: its description may
    name another temporary file each time.

    Args:
        action: The function to call.
        stop: An event that ends the attempts.
        trouble: The exceptions after which to try again; others pass through.

    Returns:
        The result of `action`, or None if `stop` was set before it succeeded.
    """
    said, next_traceback = "", 0.0

    def say_once(state: RetryCallState) -> None:
        nonlocal said, next_traceback
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, Exception) or describe(error) == said:
            return
        if not isinstance(error, NodeError):
            if time.monotonic() < next_traceback:
                return
            next_traceback = time.monotonic() + TRACEBACK_EVERY_S
        said = describe(error)
        log.warning("trouble", failure=said, exc_info=None if isinstance(error, NodeError) else error)

    retrying = Retrying(
        retry=retry_if_exception_type(trouble),
        wait=wait_exponential(multiplier=0.5, max=LONGEST_PAUSE_S),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=say_once,
    )
    try:
        result = retrying(action)
    except RetryError:
        return None
    if said:
        log.info("trouble_over")
    return result
