"""The receiver: accepts associations and stores the instances that arrive."""

from glam_node.node.run.skipped_imports import skip_imports

if __name__ == "__main__":
    skip_imports("receiver")

import gc
import os
import signal
import socket
from functools import partial

import structlog

from glam_node.node.bootstrap.receiving import ReceivingNode, build_receiving_node, rebuild_receiving_node, server_of
from glam_node.node.db.writer import Writer
from glam_node.node.run.process import Process, run_with, set_up_logs
from glam_node.node.run.process_lifecycle import READY_FD, RELOAD_SIGNAL, STOP_SIGNALS, die_with, keep_private
from glam_node.node.scp.association_context import AssociationSettings, association_settings
from glam_node.node.scp.helper_processes import Helper, HelperLoop, Helpers, Prepare
from glam_node.node.scp.server import StorageServer
from glam_node.node.scp.services import Services
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk
from glam_node.node.workflow.receive.refusals import Refusals
from glam_node.node.workflow.receive.store_instance import receive
from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.schema import NodeSettings, Settings

log = structlog.get_logger(__name__)

ROLE = "receiver"
MOST_PROCESSES = 4


def run(running: Process[ReceivingNode], helpers: Helpers) -> None:
    """Receive until asked to stop, then finish or abort the open associations."""
    settings, node = running.settings, running.node
    node.store.sweep()
    writer = Writer(node.sessions)
    services = _services(node, writer)
    server = server_of(settings.node)(
        settings.node,
        settings.peers,
        store=services.store,
        minimum_free_bytes=settings.storage.minimum_free_bytes,
        receive=services.receive,
        on_refused=services.on_refused,
        desk=_desk(node, writer),
        tls=settings.tls,
    )
    if isinstance(server, StorageServer):
        server.share_with(helpers)

    def follow() -> None:
        node = running.node
        server.follow(
            node.settings.node,
            node.settings.peers,
            minimum_free_bytes=node.settings.storage.minimum_free_bytes,
            desk=_desk(node, writer),
        )
        helpers.follow(node.settings)

    def end() -> None:
        if not running.stop.is_set():
            log.error("helper_ended", remedy="the receiver starts again, with all of its processes")
            running.stop.set()

    helpers.follow(settings)
    helpers.watch(end)
    running.on_reload(follow)
    try:
        server.start()
        running.ready(str(server.port))
        running.stop.wait()
        server.stop()
    finally:
        writer.stop()


def _services(node: ReceivingNode, writer: Writer) -> Services:
    return Services(
        node.store,
        lambda received, calling_ae_title, now: receive(
            received, calling_ae_title, store=node.store, writer=writer, now=now
        ),
        Refusals(writer).record,
    )


def _desk(node: ReceivingNode, writer: Writer) -> CommitmentDesk:
    return CommitmentDesk(writer, node.commitment_peers, node.commitment_rules)


class Prepared:
    """The node of a helper process, opened with the first settings and rebuilt with later ones."""

    def __init__(self) -> None:
        self._node: ReceivingNode | None = None
        self._writer: Writer | None = None

    def __call__(self, settings: Settings) -> tuple[Services, AssociationSettings]:
        """Return the services and the association settings that `settings` describe.

        Raises:
            PermanentError: A setting cannot work.
            TransientError: The database does not answer.
        """
        set_up_logs(ROLE, settings)
        if self._node is None or self._writer is None:
            node = build_receiving_node(settings)
            self._writer = Writer(node.sessions)
        else:
            node = rebuild_receiving_node(self._node, settings)
        self._node = node
        desk, least = _desk(node, self._writer), settings.storage.minimum_free_bytes
        return _services(node, self._writer), association_settings(settings.node, settings.peers, least, desk)


def processes(settings: NodeSettings) -> int:
    """Return the number of processes that serve associations, including the receiver."""
    if settings.upper_layer != "streaming":
        return 1
    return settings.receiver_processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def fork_helpers(count: int, prepare: Prepare) -> Helpers:
    """Fork `count` children that serve associations; a child process never returns from this function.

    This must happen before the receiver has threads. The children share the memory of the loaded modules.
    """
    gc.freeze()
    helpers: list[Helper] = []
    for _ in range(count):
        helpers.append(_fork_helper(helpers, prepare))
    return Helpers(helpers)


def _fork_helper(others: list[Helper], prepare: Prepare) -> Helper:
    receiver = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process_id = os.fork()
    if process_id:
        theirs.close()
        return Helper(ours, process_id)
    exit_code = 1
    try:
        die_with(receiver)
        ours.close()
        for other in others:
            other.close()
        _leave_signals_to_receiver()
        HelperLoop(theirs, prepare).run()
        exit_code = 0
    except Exception:
        log.exception("helper_failed")
    finally:
        os._exit(exit_code)


def _leave_signals_to_receiver() -> None:
    """Ignore signals and close the readiness pipe: the receiver tells its helpers when to stop."""
    keep_private()
    for number in STOP_SIGNALS | {RELOAD_SIGNAL}:
        signal.signal(number, signal.SIG_IGN)
    ready_fd = os.environ.pop(READY_FD, None)
    if ready_fd is not None:
        os.close(int(ready_fd))


def _helpers() -> Helpers:
    try:
        settings = load_settings(None, os.environ)
    except SettingsError:  # reported by `run_with`, which loads the settings again
        return Helpers()
    return fork_helpers(processes(settings.node) - 1, Prepared())


if __name__ == "__main__":
    run_with(build_receiving_node, rebuild_receiving_node, ROLE, partial(run, helpers=_helpers()))
