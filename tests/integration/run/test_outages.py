"""The database or the broker goes away and comes back; no process ends, and the next study is reported."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from glam_node.node.run.supervisor import Child
from tests.integration.archive import Archive
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import all_ready, wait_until, write_node
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.integration.redis_server import redis_server
from tests.ports import free_port

pytestmark = pytest.mark.peer("redis-server")

PROCESSES = ("receiver", "dispatcher", "sender", "worker")
OBJECTS_PER_EXAM = 5
OUTAGE_S = 3


def assert_at_work(processes: list[Child], archive: Archive, before: list[int]) -> None:
    """They are the processes that were there before, and a study that comes now is reported."""
    assert all_ready(processes)
    assert [process.pid for process in processes] == before
    send(int(processes[0].word or 0), small_exam(1))
    wait_until(lambda: len(archive.received) == OBJECTS_PER_EXAM, seconds=40)


@pytest.mark.peer("postgresql")
def test_a_database_that_was_away_is_used_again(archive: Archive, redis_url: str, tmp_path: Path) -> None:
    with postgresql_server() as postgresql:
        execute(postgresql, "CREATE DATABASE node")
        database_url = url_of(postgresql, "node")
        node = write_node(tmp_path, archive_port=archive.port, broker_url=redis_url, database_url=database_url)
        with node.running(*PROCESSES) as processes:
            before = [process.pid for process in processes]
            execute(postgresql, "ALTER DATABASE node ALLOW_CONNECTIONS false")
            execute(postgresql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'node'")
            time.sleep(OUTAGE_S)
            execute(postgresql, "ALTER DATABASE node ALLOW_CONNECTIONS true")
            assert_at_work(processes, archive, before)


def test_a_broker_that_was_away_is_used_again(archive: Archive, tmp_path: Path) -> None:
    port = free_port()
    node = write_node(tmp_path, archive_port=archive.port, broker_url=f"redis://127.0.0.1:{port}/0")
    with ExitStack() as stack:
        with redis_server(tmp_path, port):
            processes = stack.enter_context(node.running(*PROCESSES))
            before = [process.pid for process in processes]
        time.sleep(OUTAGE_S)
        stack.enter_context(redis_server(tmp_path, port))
        assert_at_work(processes, archive, before)
