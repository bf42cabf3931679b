"""The sender: delivers results with retries, requests storage commitment, and answers requests for it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.db import deliveries, destinations
from glam_node.node.db.engine import reading
from glam_node.node.domain.ports import Destination
from glam_node.node.run.process import Running, repeat, run_process
from glam_node.node.scu.commitment import request_commitment
from glam_node.node.workflow.deliver.answer_commitments import answer_commitments
from glam_node.node.workflow.deliver.commit_results import commit_results
from glam_node.node.workflow.deliver.send_results import deliver_due, withhold

INTERVAL_S = 0.5
LOOK_INTERVAL_S = 0.1
"""Time between two looks at the database for results that are due."""


def run(running: Running) -> None:
    """Send until asked to stop; each destination has its own thread, so that a slow archive delays no other."""
    wakes = {name: threading.Event() for name in running.node.destinations}
    threads = [
        threading.Thread(
            target=partial(repeat, task, every_s=INTERVAL_S, stop=running.stop, wake=wakes.get(name)), name=name
        )
        for name, task in _tasks(running)
    ]
    for thread in threads:
        thread.start()
    running.ready()
    repeat(lambda: wake_due(running.node, wakes, datetime.now(UTC)), every_s=LOOK_INTERVAL_S, stop=running.stop)
    for wake in wakes.values():
        wake.set()
    for thread in threads:
        thread.join()


def _tasks(running: Running) -> Iterator[tuple[str, Callable[[], object]]]:
    node = running.node
    for name in node.destinations:
        yield name, partial(_deliver, running, name)
    for name in node.commitment_policy.archives:
        yield f"{name} commitment", partial(_commit, running, name)
    if node.commitment_peers:
        yield "commitment", partial(_answer, running)


def wake_due(node: Node, wakes: Mapping[str, threading.Event], now: datetime) -> None:
    """Set the events of the destinations that may be called and to which results are due, by a single short query.

    Raises:
        TransientError: The database does not answer.
    """
    with database_trouble(node.settings), reading(node.sessions)() as session:
        for name in deliveries.destinations_due(session, list(wakes), now):
            if destinations.may_be_called(session, name, now):
                wakes[name].set()


def _deliver(running: Running, name: str) -> None:
    """Send batches until nothing is due."""
    while not running.stop.is_set() and tick(running.node, {name: running.node.destinations[name]}):
        continue


def tick(node: Node, archives: Mapping[str, Destination]) -> int:
    """Try one batch of the deliveries due to `archives`; withhold deliveries to destinations that are not live.

    Returns:
        The number of deliveries that were taken from the queue.

    Raises:
        TransientError: The database does not answer.
    """
    quiet = [name for name in archives if node.settings.destinations[name].mode != "live"]
    archives = {name: one for name, one in archives.items() if name not in quiet}
    with database_trouble(node.settings):
        for name in quiet:
            withhold(node.sessions, name, datetime.now(UTC))
        policy, fallbacks = node.delivery_policy, node.fallbacks
        return deliver_due(node.sessions, node.store, archives, policy, lambda: datetime.now(UTC), fallbacks)


def _commit(running: Running, name: str) -> None:
    """Request storage commitment from the archive for all results that it stored."""
    node = running.node
    ask = partial(request_commitment, node.archives[name])
    with database_trouble(node.settings):
        while not running.stop.is_set() and commit_results(
            node.sessions, name, ask, node.commitment_policy, datetime.now(UTC)
        ):
            continue


def _answer(running: Running) -> None:
    """Answer all requests for storage commitment that are due."""
    node = running.node
    with database_trouble(node.settings):
        while not running.stop.is_set() and answer_commitments(
            node.sessions, node.store, node.commitment_peers, node.delivery_policy, lambda: datetime.now(UTC)
        ):
            continue


def main() -> None:
    """Run the sender until SIGTERM or SIGINT."""
    run_process("sender", run)
