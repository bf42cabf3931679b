"""The heartbeat of slow work."""

import threading
import time

import pytest

from glam_node.node.workflow.record.heartbeat import heartbeat
from tests.waiting import wait_until


def test_the_heartbeat_lasts_as_long_as_the_work() -> None:
    beats: list[float] = []
    with heartbeat(lambda: beats.append(time.monotonic()), every_s=0.01):
        wait_until(lambda: len(beats) >= 3)
    count = len(beats)
    time.sleep(0.05)
    assert len(beats) == count


def test_the_heartbeat_continues_after_a_failed_beat() -> None:
    beats = threading.Semaphore(0)

    def fail() -> None:
        beats.release()
        raise OSError("database away")

    with heartbeat(fail, every_s=0.01):
        assert beats.acquire(timeout=60)
        assert beats.acquire(timeout=60)


def test_the_heartbeat_ends_when_the_work_fails() -> None:
    with pytest.raises(ValueError, match="no"), heartbeat(lambda: None, every_s=60):
        raise ValueError("no")
    assert "heartbeat" not in [thread.name for thread in threading.enumerate()]
