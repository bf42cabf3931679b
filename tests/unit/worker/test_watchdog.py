"""The watchdog: only a worker that receives nothing while messages wait is deaf."""

import itertools
import threading
import time

import pytest

from glam_node.node.errors import TransientError
from glam_node.node.worker.watchdog import Watchdog

PATIENCE_S = 0.05


class Broker:
    """A broker that has messages, or cannot be reached."""

    def __init__(self, waiting: int | None) -> None:
        self.waiting = waiting

    def messages_waiting(self) -> int:
        """Return the number of messages as the real broker does."""
        if self.waiting is None:
            raise TransientError("away")
        return self.waiting


def watchdog_of(broker: Broker, barked: threading.Event) -> Watchdog:
    return Watchdog(broker.messages_waiting, barked.set, patience_s=PATIENCE_S, check_interval_s=0.01)


def is_barked_at(broker: Broker) -> bool:
    """Return whether a watchdog reports a worker that receives nothing."""
    barked = threading.Event()
    watchdog_of(broker, barked).start()
    return barked.wait(5 * PATIENCE_S)


def test_an_idle_worker_with_messages_waiting_is_deaf() -> None:
    assert is_barked_at(Broker(1))


def test_an_idle_worker_without_messages_is_not_deaf() -> None:
    assert not is_barked_at(Broker(0))


def test_a_worker_whose_broker_is_away_is_not_deaf() -> None:
    assert not is_barked_at(Broker(None))


def is_barked_at_while_it_works(broker: Broker, work_s: float) -> bool:
    barked = threading.Event()
    watchdog = watchdog_of(broker, barked)

    def work(_job_id: str) -> bool:
        watchdog.start()
        return barked.wait(work_s)

    return bool(watchdog.watched(work)("job"))


def test_a_working_worker_is_not_deaf() -> None:
    assert not is_barked_at_while_it_works(Broker(1), 5 * PATIENCE_S)


def test_a_worker_that_was_frozen_at_work_is_not_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each reading of the clock is a minute after the last one, as in a process that is stopped between two lines.
    minutes = itertools.count(0, 60)
    monkeypatch.setattr(time, "monotonic", lambda: next(minutes))
    # The event uses another clock for waiting.
    assert not is_barked_at_while_it_works(Broker(1), PATIENCE_S)
