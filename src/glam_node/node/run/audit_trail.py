"""The audit trail: messages are made of events, and go to the collector."""

import socket
from datetime import UTC, datetime

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.run.process import Running, repeat
from glam_node.node.workflow import report
from glam_node.node.workflow.forward import forward_messages

INTERVAL_S = 2.0


def keep_audit_trail(running: Running) -> None:
    """Until it is to stop; the collector may come and go."""
    repeat(lambda: tick(running.node), every_s=INTERVAL_S, stop=running.stop)


def tick(node: Node) -> None:
    """Every event that is over is told of, and the collector, where there is one, has every message.

    Raises TransientError when it is away.
    """
    with database_trouble(node.settings):
        while report.report_events(node.sessions, node.reporting, node.store.root, datetime.now(UTC)) >= report.AT_ONCE:
            continue
        if node.collector is None:
            return
        host = socket.gethostname()
        while forward_messages(node.sessions, node.collector.send, host, lambda: datetime.now(UTC)):
            continue
