"""Tests of registered workers, on both databases."""

from dataclasses import replace

from glam_node.node.db import workers
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.worker import Worker
from tests.builders import NOW, after

WORKER = Worker("a:1:1", "a", 1, "cuda:0", "cuda:0, torch", "m:P", "GLAM 1", 4, 5_000_000_000, 1, 2, NOW, NOW)


def test_a_worker_is_listed_as_last_registered_until_it_is_removed(sessions: SessionFactory) -> None:
    later = replace(WORKER, resident_bytes=6_000_000_000, last_seen_at=after(10))
    other = replace(WORKER, name="b:1:1", device_bytes=None, device_total_bytes=None, last_seen_at=after(5))
    for one in (WORKER, other, later):
        with sessions.begin() as session:
            workers.put(session, one)
    with sessions.begin() as session:
        assert workers.list_all(session) == [later, other]
        workers.remove(session, later.name)
        assert workers.list_all(session) == [other]


def test_a_worker_not_seen_for_long_is_removed(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        workers.put(session, WORKER)
        workers.remove_unseen(session, WORKER.last_seen_at)
        assert workers.list_all(session) == [WORKER]
        workers.remove_unseen(session, after(1))
        assert workers.list_all(session) == []
