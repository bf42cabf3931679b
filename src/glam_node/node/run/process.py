"""What every process of the node does: reads settings, ends on SIGTERM, tells when it is ready, outlives trouble."""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

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

from glam_node.node.bootstrap import Node, build_node, database_trouble
from glam_node.node.db.engine import SessionFactory
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.observe import logs
from glam_node.node.run.lifeline import EXIT_PERMANENT, READY_FD, die_with_parent, keep_private, stop_on_signals
from glam_node.node.workflow.note import note_start, note_stop
from glam_node.settings.load import SETTINGS_VARIABLE, SettingsError, load_settings
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

T = TypeVar("T")

LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """One process of the node, at work."""

    settings: Settings
    node: Node
    stop: threading.Event
    """Set by SIGTERM or SIGINT."""

    def ready(self, word: str = "") -> None:
        """Tell the parent, once, that this process does its work; `word` goes with it."""
        fd = os.environ.pop(READY_FD, None)
        if fd is not None:
            os.write(int(fd), f"{word}\n".encode())
            os.close(int(fd))


def main(role: str, work: Callable[[Running], None]) -> None:
    """Run `work` as this process, with the settings that the environment names; ends the process."""
    die_with_parent()
    keep_private()
    stop = stop_on_signals()
    try:
        settings = load_settings(None, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_PERMANENT)
    logs.configure(settings.log.level, settings.log.format)
    _sign_logs(role)
    try:
        node = until_it_works(lambda: build_node(settings), stop)
        if node is not None:
            _work(role, work, Running(settings, node, stop))
    except NodeError as error:
        log.error("process_failed", failure=str(error))
        sys.exit(EXIT_PERMANENT if isinstance(error, PermanentError) else 1)


def _work(role: str, work: Callable[[Running], None], running: Running) -> None:
    """Start and end are on record; the end only if the database is there."""
    until_it_works(lambda: _note(running.node, role, note_start), running.stop)
    try:
        work(running)
    finally:
        try:
            _note(running.node, role, note_stop)
        except NodeError as error:
            log.warning("stop_not_recorded", failure=str(error))


def _note(node: Node, role: str, note: Callable[[SessionFactory, str, datetime], None]) -> None:
    with database_trouble(node.settings):
        note(node.sessions, role, datetime.now(UTC))


def _sign_logs(role: str) -> None:
    """Every line of this process says whose it is, whatever thread wrote it."""

    def sign(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": role}

    structlog.configure(processors=[sign, *structlog.get_config()["processors"]])


def child_environment(settings_path: Path | None) -> dict[str, str]:
    """The environment in which a child process finds the same settings."""
    if settings_path is None:
        return dict(os.environ)
    return {**os.environ, SETTINGS_VARIABLE: str(settings_path.resolve())}


def repeat(tick: Callable[[], object], *, every_s: float, stop: threading.Event) -> None:
    """Call `tick` until `stop` is set; while it fails, pause longer and longer and say so once."""
    while not stop.is_set():
        until_it_works(tick, stop, Exception)
        stop.wait(every_s)


def until_it_works(
    action: Callable[[], T], stop: threading.Event, trouble: type[Exception] = TransientError
) -> T | None:
    """What `action` returned, after as many attempts as it took; None when `stop` was set before."""
    said = ""

    def say_once(state: RetryCallState) -> None:
        nonlocal said
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None and str(error) != said:
            said = str(error)
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
