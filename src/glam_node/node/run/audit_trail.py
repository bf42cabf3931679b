"""The audit trail: messages from events, sent to the collector, as a thread of the dispatcher."""

import socket
from datetime import UTC, datetime

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.run.process import Running, repeat
from glam_node.node.workflow.record.audit_trail import EVENTS_AT_ONCE, forward_audit_messages, write_audit_messages

INTERVAL_S = 2.0


def keep_audit_trail(running: Running) -> None:
    """Write and send audit messages until asked to stop, also while the collector is at times unreachable."""
    repeat(lambda: tick(running.node), every_s=INTERVAL_S, stop=running.stop)


def tick(node: Node) -> None:
    """Write a message for every new event, and send all messages to the collector if there is one.

    Raises:
        TransientError: The collector or the database does not answer.
    """
    with database_trouble(node.settings):
        while write_audit_messages(node.sessions, node.reporting, node.store.root, datetime.now(UTC)) >= EVENTS_AT_ONCE:
            continue
        if node.collector is None:
            return
        host = socket.gethostname()
        while forward_audit_messages(node.sessions, node.collector.send, host, lambda: datetime.now(UTC)):
            continue
