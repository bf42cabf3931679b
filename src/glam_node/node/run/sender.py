"""The sender: takes results to their destinations, and tries again."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.domain.ports import Destination
from glam_node.node.run.process import Running, main, repeat
from glam_node.node.workflow.deliver import deliver_due

INTERVAL_S = 0.5


def run(running: Running) -> None:
    """Send until asked to stop; each destination has its own thread, so that a dead archive holds up no other."""
    threads = [
        threading.Thread(target=_serve, args=(running, {name: destination}), name=name)
        for name, destination in running.node.destinations.items()
    ]
    for thread in threads:
        thread.start()
    running.ready()
    for thread in threads:
        thread.join()
    running.stop.wait()


def _serve(running: Running, destinations: Mapping[str, Destination]) -> None:
    repeat(lambda: tick(running.node, destinations), every_s=INTERVAL_S, stop=running.stop)


def tick(node: Node, destinations: Mapping[str, Destination]) -> None:
    """Every delivery to these destinations that was due has been tried; batch follows batch while they are taken."""
    with database_trouble(node.settings):
        policy, fallbacks = node.delivery_policy, node.fallbacks
        while deliver_due(node.sessions, node.store, destinations, policy, lambda: datetime.now(UTC), fallbacks):
            continue


if __name__ == "__main__":
    main("sender", run)
