"""The sender: takes results to their destinations, and tries again; asks and answers for storage commitment."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.domain.ports import Destination
from glam_node.node.run.process import Running, main, repeat
from glam_node.node.scu.commitment import request_commitment
from glam_node.node.workflow.answer_commitments import answer_commitments
from glam_node.node.workflow.commit_results import commit_results
from glam_node.node.workflow.deliver import deliver_due, withhold

INTERVAL_S = 0.5


def run(running: Running) -> None:
    """Send until asked to stop; each destination has its own thread, so that a dead archive holds up no other."""
    threads = [
        threading.Thread(target=_serve, args=(running, {name: destination}), name=name)
        for name, destination in running.node.destinations.items()
    ]
    threads += [
        threading.Thread(target=_commit, args=(running, name), name=f"{name} commitment")
        for name in running.node.commitment_rules.archives
    ]
    if running.node.commitment_peers:
        threads.append(threading.Thread(target=_answer, args=(running,), name="commitment"))
    for thread in threads:
        thread.start()
    running.ready()
    for thread in threads:
        thread.join()
    running.stop.wait()


def _serve(running: Running, destinations: Mapping[str, Destination]) -> None:
    repeat(lambda: tick(running.node, destinations), every_s=INTERVAL_S, stop=running.stop)


def _commit(running: Running, destination: str) -> None:
    repeat(lambda: commit(running.node, destination), every_s=INTERVAL_S, stop=running.stop)


def commit(node: Node, destination: str) -> None:
    """The archive was asked to take responsibility for all that it stored."""
    ask = partial(request_commitment, node.archives[destination])
    with database_trouble(node.settings):
        while commit_results(node.sessions, destination, ask, node.commitment_rules, datetime.now(UTC)):
            continue


def _answer(running: Running) -> None:
    repeat(lambda: answer(running.node), every_s=INTERVAL_S, stop=running.stop)


def answer(node: Node) -> None:
    """Every request of a peer that was due has been answered."""
    with database_trouble(node.settings):
        policy, peers = node.delivery_policy, node.commitment_peers
        while answer_commitments(node.sessions, node.store, peers, policy, lambda: datetime.now(UTC)):
            continue


def tick(node: Node, destinations: Mapping[str, Destination]) -> None:
    """Every delivery to these destinations that was due has been tried; batch follows batch while they are taken.

    Nothing goes to those that are not live: what waits for them is WITHHELD.
    """
    quiet = [name for name in destinations if node.settings.destinations[name].mode != "live"]
    destinations = {name: one for name, one in destinations.items() if name not in quiet}
    with database_trouble(node.settings):
        for name in quiet:
            withhold(node.sessions, name, datetime.now(UTC))
        policy, fallbacks = node.delivery_policy, node.fallbacks
        while deliver_due(node.sessions, node.store, destinations, policy, lambda: datetime.now(UTC), fallbacks):
            continue


if __name__ == "__main__":
    main("sender", run)
