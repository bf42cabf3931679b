"""Detection and sending of alerts, as a thread of the dispatcher."""

from datetime import UTC, datetime

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.run.process import Running, repeat
from glam_node.node.workflow.record.alerts import send_alerts, update_alerts

INTERVAL_S = 5.0


def watch(running: Running) -> None:
    """Look for alerts until asked to stop."""
    repeat(lambda: tick(running.node, datetime.now(UTC)), every_s=INTERVAL_S, stop=running.stop)


def tick(node: Node, now: datetime) -> None:
    """Record which alerts began or ended, and send them to every channel.

    Raises:
        TransientError: The database does not answer.
    """
    live = [name for name, destination in node.settings.destinations.items() if destination.mode == "live"]
    space = node.store.free_bytes(), node.settings.storage.minimum_free_bytes
    with database_trouble(node.settings):
        update_alerts(node.sessions, node.alert_rules, live, space, list(node.alert_channels), now)
        while send_alerts(node.sessions, node.alert_channels, lambda: now):
            continue
