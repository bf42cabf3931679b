"""The sender: delivers results with retries, requests storage commitment, and answers requests for it."""

import gc

from glam_node.node.run.skipped_imports import skip_imports

if __name__ == "__main__":
    gc.disable()  # `main` enables it when the modules have been imported
    skip_imports("sender")

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.domain.ports import Destination
from glam_node.node.run.process import Running, main, repeat
from glam_node.node.scu.commitment import request_commitment
from glam_node.node.workflow.deliver.answer_commitments import answer_commitments
from glam_node.node.workflow.deliver.commit_results import commit_results
from glam_node.node.workflow.deliver.send_results import deliver_due, withhold

INTERVAL_S = 0.5

Tasks = Mapping[str, Callable[[], object]]


def run(running: Running) -> None:
    """Send until asked to stop; each destination has its own thread, so that a slow archive delays no other."""
    threads = TaskThreads()
    threads.run_tasks(tasks(running))
    running.on_reload(lambda: threads.run_tasks(tasks(running)))
    running.ready()
    running.stop.wait()
    threads.stop()


class TaskThreads:
    """The threads of the sender; each thread repeats one task."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def run_tasks(self, tasks: Tasks) -> None:
        """Start threads for new tasks, and stop the threads of tasks that `tasks` lacks, after their current run."""
        with self._lock:
            for name in self._stops.keys() - tasks.keys():
                self._stops.pop(name).set()
            for name in tasks.keys() - self._stops.keys() if not self._stopped else ():
                self._stops[name] = stop = threading.Event()
                thread = threading.Thread(target=partial(repeat, tasks[name], every_s=INTERVAL_S, stop=stop), name=name)
                self._threads = [*(one for one in self._threads if one.is_alive()), thread]
                thread.start()

    def stop(self) -> None:
        """Stop all tasks, and wait for their threads."""
        with self._lock:
            self._stopped = True
        self.run_tasks({})
        for thread in self._threads:
            thread.join()


def tasks(running: Running) -> Tasks:
    """Return the tasks for the current destinations by name; each task reads the settings in force at every run."""
    return dict(_tasks(running))


def _tasks(running: Running) -> Iterator[tuple[str, Callable[[], object]]]:
    node = running.node
    for name in node.destinations:
        yield name, partial(_deliver, running, name)
    for name in node.commitment_rules.archives:
        yield f"{name} commitment", partial(_commit, running, name)
    if node.commitment_peers:
        yield "commitment", partial(_answer, running)


def _deliver(running: Running, name: str) -> None:
    """Send batches until nothing is due; each batch uses the settings in force at its start."""
    while not running.stop.is_set() and name in (node := running.node).destinations:
        if not tick(node, {name: node.destinations[name]}):
            return


def tick(node: Node, destinations: Mapping[str, Destination]) -> int:
    """Try one batch of the deliveries due to `destinations`; withhold deliveries to destinations that are not live.

    Returns:
        The number of deliveries that were taken from the queue.

    Raises:
        TransientError: The database does not answer.
    """
    quiet = [name for name in destinations if node.settings.destinations[name].mode != "live"]
    destinations = {name: one for name, one in destinations.items() if name not in quiet}
    with database_trouble(node.settings):
        for name in quiet:
            withhold(node.sessions, name, datetime.now(UTC))
        policy, fallbacks = node.delivery_policy, node.fallbacks
        return deliver_due(node.sessions, node.store, destinations, policy, lambda: datetime.now(UTC), fallbacks)


def _commit(running: Running, name: str) -> None:
    """Request storage commitment from the archive for all results that it stored."""
    while not running.stop.is_set() and name in (node := running.node).commitment_rules.archives:
        ask = partial(request_commitment, node.archives[name])
        with database_trouble(node.settings):
            if not commit_results(node.sessions, name, ask, node.commitment_rules, datetime.now(UTC)):
                return


def _answer(running: Running) -> None:
    """Answer all requests for storage commitment that are due."""
    while not running.stop.is_set() and (node := running.node).commitment_peers:
        policy, peers = node.delivery_policy, node.commitment_peers
        with database_trouble(node.settings):
            if not answer_commitments(node.sessions, node.store, peers, policy, lambda: datetime.now(UTC)):
                return


if __name__ == "__main__":
    main("sender", run)
