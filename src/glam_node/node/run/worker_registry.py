"""The registration of a worker in the database, with its device and memory."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from glam_node.inference.predictor import Predictor
from glam_node.node.bootstrap import Node, database_trouble
from glam_node.node.db import workers
from glam_node.node.domain.worker import Worker
from glam_node.node.errors import NodeError
from glam_node.node.run.process import Running, until_it_works
from glam_node.node.workflow.operate.recovery import is_gone, this_process
from glam_node.node.workflow.record.heartbeat import heartbeat

log = structlog.get_logger(__name__)

UPDATE_INTERVAL_S = 10.0


@contextmanager
def registered(running: Running, predictor: Predictor) -> Iterator[None]:
    """Register this worker, update its entry every ten seconds, and remove it afterwards.

    Also remove the entries of crashed workers on this host.
    """
    node, started_at = running.node, datetime.now(UTC)

    def update() -> None:
        with node.sessions.begin() as session:
            workers.put(session, this_worker(node, predictor, started_at, datetime.now(UTC)))

    until_it_works(lambda: _register(node, update), running.stop)
    try:
        with heartbeat(update, every_s=UPDATE_INTERVAL_S):
            yield
    finally:
        _unregister(node)


def _register(node: Node, update: Callable[[], None]) -> None:
    with database_trouble(node.settings):
        with node.sessions.begin() as session:
            for worker in workers.list_all(session):
                if is_gone(worker.name):
                    workers.remove(session, worker.name)
        update()


def _unregister(node: Node) -> None:
    try:
        with database_trouble(node.settings), node.sessions.begin() as session:
            workers.remove(session, this_process())
    except NodeError as error:
        log.warning("departure_not_recorded", failure=str(error))


def this_worker(node: Node, predictor: Predictor, started_at: datetime, now: datetime) -> Worker:
    """Return the entry for this process at `now`."""
    memory: tuple[int, int] | None = getattr(predictor, "device_memory", None)
    algorithm = predictor.algorithm
    return Worker(
        name=this_process(),
        host=socket.gethostname(),
        process_id=os.getpid(),
        device=getattr(predictor, "device", ""),
        route=getattr(predictor, "route", ""),
        predictor=node.settings.inference.predictor,
        algorithm=f"{algorithm.algorithm_name} {algorithm.algorithm_version}",
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")),
        resident_bytes=resident_bytes(),
        device_bytes=memory[0] if memory else None,
        device_total_bytes=memory[1] if memory else None,
        started_at=started_at,
        last_seen_at=now,
    )


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Return the resident memory of this process in bytes; 0 if the system does not provide it."""
    try:
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
