"""A worker that hears nothing while messages wait is noticed, and only that one."""

import threading
import time

from glam_node.node.errors import TransientError
from glam_node.node.worker.watchdog import Watchdog

PATIENCE_S = 0.05


class Broker:
    """Has messages, or is away."""

    def __init__(self, waiting: int | None) -> None:
        self.waiting = waiting

    def messages_waiting(self) -> int:
        """As the real one says it."""
        if self.waiting is None:
            raise TransientError("away")
        return self.waiting


def is_barked_at(broker: Broker, work_s: float = 0.0) -> bool:
    """Whether a watchdog over a worker that works for `work_s` seconds and then hears nothing barks by then."""
    barked = threading.Event()
    watchdog = Watchdog(broker.messages_waiting, barked.set, patience_s=PATIENCE_S, check_interval_s=0.01)
    run = watchdog.watched(lambda _job_id: time.sleep(work_s))
    watchdog.start()
    if work_s:
        run("job")
        return barked.is_set()
    return barked.wait(5 * PATIENCE_S)


def test_an_idle_worker_with_messages_waiting_is_deaf() -> None:
    assert is_barked_at(Broker(1))


def test_an_idle_worker_without_messages_is_not() -> None:
    assert not is_barked_at(Broker(0))


def test_a_worker_whose_broker_is_away_is_not() -> None:
    assert not is_barked_at(Broker(None))


def test_a_working_worker_is_not() -> None:
    assert not is_barked_at(Broker(1), work_s=5 * PATIENCE_S)
