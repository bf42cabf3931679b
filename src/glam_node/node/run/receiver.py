"""The receiver: equal processes that accept associations and store the instances that arrive, and their parent.

The parent opens the database, the storage root and the ports, forks the receiver processes, which all accept
connections on these ports, and replaces each that exits. It serves nobody and starts no threads, so that it may fork
at any time; the processes share the memory of all that it has loaded.
"""

import gc
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from glam_node.node.bootstrap.receiving import ReceivingNode, build_receiving_node, receiving_node
from glam_node.node.db.writer import Writer
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.observe import logs
from glam_node.node.run.forked import ForkedProcess, unblock_signals
from glam_node.node.run.process import (
    Process,
    audit_start,
    audit_stop,
    exit_on_failure,
    set_up_logs,
    settings_or_exit,
    until_it_works,
)
from glam_node.node.run.process_lifecycle import (
    READY_FD,
    NotedSignals,
    ParentPipe,
    die_with_parent,
    keep_private,
    stop_on_signals,
)
from glam_node.node.run.supervisor import POLL_INTERVAL_S, Child, Program, stop_together
from glam_node.node.scp.association_context import receiver_context
from glam_node.node.scp.canary_admission import own_certificate
from glam_node.node.scp.listener import Listener, open_listeners
from glam_node.node.scp.receiver_counts import Place, ReceiverCounts
from glam_node.node.scp.server import StorageServer
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.node.workflow.receive.refusals import Refusals
from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.reference import section_to_append
from glam_node.settings.reload import reloaded
from glam_node.settings.schema import NodeSettings

log = structlog.get_logger(__name__)

ROLE = "receiver"
MOST_PROCESSES = 4


class ForkedChild(Child):
    """A child process that was forked, and is forked again whenever it exits.

    Args:
        name: The name of the process.
        run: The function that it runs; see `ForkedProcess`.
        on_exit: Called in the parent when the process has exited.
    """

    def __init__(self, name: str, run: Callable[[], object], on_exit: Callable[[], object]) -> None:
        self._on_exit = on_exit
        super().__init__(Program(name, run, {}))

    def _launch(self, ready_fd: int) -> ForkedProcess:
        def run() -> None:
            self.close_pipe()
            os.environ[READY_FD] = str(ready_fd)
            self._program.run()

        return ForkedProcess(run)

    def _handle_exit(self) -> None:
        self._on_exit()
        super()._handle_exit()


class Receivers:
    """The receiver processes of a node, as their parent sees them."""

    def __init__(self, node: ReceivingNode, parent: ParentPipe) -> None:
        """Open the ports. Raises PermanentError as `open_listeners` does."""
        self._node = self._next_node = node
        self._parent = parent
        self._listeners = open_listeners(node.settings.node, node.settings.tls, own_certificate(node.store.root))
        self._counts = ReceiverCounts()
        self._serving: dict[int, ForkedChild] = {}
        """The processes that accept connections, by their place."""
        self._starting: dict[int, ForkedChild] = {}
        """Their successors, which have the settings of the last reload and are not ready yet."""
        self._draining: dict[int, ForkedChild] = {}
        """Their predecessors, which serve the associations that they have with their own settings."""

    def run(self, signals: NotedSignals) -> None:
        """Supervise the processes until SIGTERM or SIGINT, and stop them.

        Raises:
            PermanentError: A process cannot start.
        """
        try:
            self._start()
            while not signals.wait(POLL_INTERVAL_S):
                self._attend()
                if self._serving and signals.take_reload():
                    self._reload()
        finally:
            stop_together(self._children())

    def _children(self) -> tuple[ForkedChild, ...]:
        return (*self._starting.values(), *self._serving.values(), *self._draining.values())

    def _start(self) -> None:
        """Fork processes for `_next_node`; the present ones accept no more connections once these do."""
        if self._serving:
            gc.collect()  # freezing would keep what former reloads left
        gc.freeze()
        for _ in range(processes(self._next_node.settings.node)):
            place = self._counts.take()
            if place is None:
                self._abandon()
                raise PermanentError("Too many receiver processes still serve associations from before other reloads.")
            serve = partial(self._serve, self._next_node, place)
            self._starting[place] = ForkedChild(ROLE, serve, partial(self._counts.clear, place))

    def _serve(self, node: ReceivingNode, place: int) -> None:
        """Run a receiver process; called in the process that was forked."""
        self._parent.close()
        for sibling in self._children():
            sibling.close_pipe()
        serve(node, self._listeners, Place(self._counts, place))

    def _attend(self) -> None:
        for child in (*self._serving.values(), *self._draining.values()):
            child.look()
        for place in [place for place, child in self._draining.items() if child.has_exited]:
            del self._draining[place]
            self._counts.give_back(place)
        try:
            for child in self._starting.values():
                child.look()
        except PermanentError as error:
            if not self._serving:
                raise
            self._abandon()
            self._refuse(str(error))
        exited = [child for child in self._starting.values() if child.has_exited]
        if self._serving and exited:
            self._abandon()
            self._refuse("A new receiver process exited before it was ready. Its log says why.")
        if self._starting and all(child.word is not None for child in self._starting.values()):
            self._switch()

    def _switch(self) -> None:
        is_reload = bool(self._serving)
        for child in self._serving.values():
            child.retire()
        self._draining |= self._serving
        self._serving, self._starting = self._starting, {}
        if is_reload:
            self._adopt()
        else:
            self._parent.ready(str(self._listeners[0].port))

    def _abandon(self) -> None:
        stop_together(self._starting.values())
        for place in self._starting:
            self._counts.give_back(place)
        self._starting = {}

    def _reload(self) -> None:
        """Start successors with the settings that the environment names, in place of any that are not ready yet."""
        self._abandon()
        try:
            settings = reloaded(self._node.settings, load_settings(None, os.environ))
            self._next_node = receiving_node(self._node, settings)
            self._start()
        except (SettingsError, NodeError) as error:
            self._refuse(str(error))

    def _adopt(self) -> None:
        self._node = self._next_node
        set_up_logs(ROLE, self._node.settings)
        self._parent.answer("")

    def _refuse(self, reason: str) -> None:
        log.error("settings_not_reloaded", problem=reason)
        self._parent.answer(reason)


def processes(settings: NodeSettings) -> int:
    """Return the number of receiver processes."""
    return settings.receiver_processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def serve(node: ReceivingNode, listeners: Sequence[Listener], place: Place) -> None:
    """Receive until SIGTERM or SIGINT; after SIGHUP, accept no more connections and return after the open ones.

    Args:
        node: The node, without connections to its database, and the settings of all associations of this process.
        listeners: The listening ports.
        place: The counts of this process.
    """
    drain = threading.Event()
    stop = stop_on_signals(drain)
    unblock_signals()
    node.store.sweep()
    writer = Writer(node.sessions)
    desk = CommitmentDesk(writer, node.commitment_peers, node.commitment_policy)
    context = receiver_context(node.settings, node.store, writer, desk, Refusals(writer).record)
    server = StorageServer(context, listeners, place)

    def finish() -> None:
        drain.wait()
        server.drain()
        stop.set()

    threading.Thread(target=finish, name="drain", daemon=True).start()
    try:
        server.start()
        ParentPipe().ready()
        stop.wait()
        server.stop()
    finally:
        writer.stop()


def main() -> None:
    """Run the receiver processes until SIGTERM or SIGINT."""
    die_with_parent()
    keep_private()
    logs.guard_tracebacks()
    signals = NotedSignals()
    unblock_signals()
    settings = settings_or_exit()
    set_up_logs(ROLE, settings)
    if not settings.peers:
        remedy = section_to_append("peers.pacs", ae_title="PACS", hosts=["10.0.0.5"])
        log.warning("nobody_may_send", remedy=remedy)
    parent = ParentPipe()
    with exit_on_failure(parent):
        node = until_it_works(lambda: build_receiving_node(settings), signals)
        if node is None:
            return
        running = Process(ROLE, node, signals, threading.Event(), parent)
        audit_start(running)
        try:
            # A connection must not be used by two processes; each process makes its own.
            node.sessions.kw["bind"].dispose()
            Receivers(node, parent).run(signals)
        finally:
            audit_stop(running)
