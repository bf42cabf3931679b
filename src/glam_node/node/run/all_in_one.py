"""A whole node in one tree of processes: receiver, dispatcher, sender, and, with the embedded broker, a worker."""

import fcntl
import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from glam_node.node.bootstrap.base_node import (
    BaseNode,
    database_trouble,
    open_base_node,
    prepare_root,
    refuse_other_root,
)
from glam_node.node.db import console_sessions
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.run.forked import execute
from glam_node.node.run.listening_sockets import console_sockets, hl7_sockets
from glam_node.node.run.live_settings import LiveSettings
from glam_node.node.run.process import until_it_works
from glam_node.node.run.process_lifecycle import NotedSignals, keep_private
from glam_node.node.run.supervisor import POLL_INTERVAL_S, Child, Program, attend, role_program, stop_together
from glam_node.node.worker.embedded_broker import EmbeddedBroker, embedded_broker
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

LOCK_FILE = "serve.lock"
BROKER_START_S = 10.0
BROKER_POLL_S = 0.02
BROKER_URL = "GLAM_NODE__BROKER_URL"
PORT = "GLAM_NODE__NODE__PORT"

Children = dict[str, Child]


def serve(settings: Settings, settings_path: Path | None, ready: Callable[[str], None] | None = None) -> None:
    """Run a node in the main thread until SIGTERM or SIGINT, and stop all of its processes.

    Args:
        settings: The settings of the node.
        settings_path: The file to read again on SIGHUP.
        ready: Called once, with the port of the receiver, when it listens and every process is ready.

    Raises:
        PermanentError: The node cannot start until a person acts.
    """
    keep_private()
    signals = NotedSignals()
    with suppress(TransientError):  # `open_base_node` waits for the database
        refuse_other_root(settings)
    prepare_root(settings.storage.root)
    with only_one(settings.storage.root):
        if until_it_works(lambda: open_to_serve(settings), signals) is None:
            return
        children: Children = {}
        live = LiveSettings(settings, settings_path, settings.storage.root, "serve")
        try:
            _start(children, settings, live.environment())
            _attend(children, live, signals, ready or (lambda _port: None))
        finally:
            _stop(children)
            live.end()


def open_to_serve(settings: Settings) -> BaseNode:
    """Open the node, end the sessions of everybody who was signed in to its console before, and close the database.

    A process that is forked must not have connections of its parent.
    """
    node = open_base_node(settings)
    try:
        with database_trouble(settings), node.sessions.begin() as session:
            console_sessions.remove_all(session)
    finally:
        node.sessions.kw["bind"].dispose()
    return node


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Hold the lock of the storage root.

    Raises:
        PermanentError: Another process serves the storage root.
    """
    with (root / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise PermanentError(
                f"Another glam-node (process {lock.read().strip()}) serves {root}. "
                "Stop it, or set another storage.root."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        # A child holds the lock, too, and would hold it for a moment longer than a process that is killed.
        os.register_at_fork(after_in_child=lock.close)
        yield


def _start(children: Children, settings: Settings, environment: dict[str, str]) -> None:
    names, own, broker = ["receiver", "dispatcher", "sender"], {}, None
    if not settings.broker_url:
        broker = embedded_broker(settings.storage.root)
        run = partial(execute, broker.command())
        children["broker"] = Child(Program("broker", run, environment, reports_ready=False))
        own[BROKER_URL] = broker.url
        names.insert(0, "worker")  # which takes the longest to be ready
    programs = [role_program(name, environment) for name in names]
    if settings.console.port:
        programs.append(role_program("console", environment, console_sockets(settings.console)))
    if settings.hl7.port:
        programs.append(role_program("hl7", environment, hl7_sockets(settings.hl7)))
    if broker is not None:
        _wait_for_broker(broker)
    gc.freeze()  # a collection would write to the memory that the processes share
    gc.enable()
    for program in programs:
        children[program.name] = Child(program, own)


def _wait_for_broker(broker: EmbeddedBroker) -> None:
    deadline = time.monotonic() + BROKER_START_S
    while not broker.is_listening():
        if time.monotonic() > deadline:
            raise TransientError(
                f"The embedded broker did not start within {BROKER_START_S:.0f} s. Its messages are in "
                f"{broker.directory / 'broker.log'}. Start the node again, or set broker_url to a Redis."
            )
        time.sleep(BROKER_POLL_S)


def _attend(children: Children, live: LiveSettings, signals: NotedSignals, ready: Callable[[str], None]) -> None:
    node, receiver = live.settings.node, children["receiver"]
    listening = complete = False
    while not signals.wait(POLL_INTERVAL_S):
        live.attend(signals.take_reload, children.values())
        attend(children.values())
        if receiver.word is not None and not listening:
            listening = True
            if not node.port:  # after a restart, it listens on the port that it was given
                receiver.own_environment[PORT] = receiver.word
            log.info("listening", host=node.host, port=receiver.word, ae_title=node.ae_title)
        if not complete and all(child.word is not None for child in children.values()):
            complete = True
            ready(receiver.word or "")


def _stop(children: Children) -> None:
    """Stop the processes in the order of the data flow, so that none waits for one that has stopped."""
    log.info("stopping")
    stop_together(child for name, child in children.items() if name in ("receiver", "hl7"))
    stop_together(child for name, child in children.items() if name != "broker")
    stop_together(children.values())
