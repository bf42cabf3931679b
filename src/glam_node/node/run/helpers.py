"""Helpers of the receiver, forked before it has threads: they share the memory of the loaded modules."""

import gc
import os
import signal
import socket

import structlog

from glam_node.node.run.lifeline import READY_FD, RELOAD_SIGNAL, STOP_SIGNALS, die_with, keep_private
from glam_node.node.scp.helpers import Helper, Helpers
from glam_node.node.scp.helping import Helping, Prepare

log = structlog.get_logger(__name__)


def fork_helpers(count: int, prepare: Prepare) -> Helpers:
    """Fork `count` children that serve associations; a child exits instead of returning from here."""
    gc.freeze()
    helpers: list[Helper] = []
    for _ in range(count):
        helpers.append(_forked(helpers, prepare))
    return Helpers(helpers)


def _forked(others: list[Helper], prepare: Prepare) -> Helper:
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
        _be_the_receivers()
        Helping(theirs, prepare).run()
        exit_code = 0
    except Exception:
        log.exception("helper_failed")
    finally:
        os._exit(exit_code)


def _be_the_receivers() -> None:
    """Leave signals and readiness to the receiver, which tells the helper when to stop."""
    keep_private()
    for number in STOP_SIGNALS | {RELOAD_SIGNAL}:
        signal.signal(number, signal.SIG_IGN)
    ready_fd = os.environ.pop(READY_FD, None)
    if ready_fd is not None:
        os.close(int(ready_fd))
