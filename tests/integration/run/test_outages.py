"""Outages of the database and the broker, after which the same processes report the next study."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from glam_node.node.run.supervisor import Child
from tests.integration.archive import Archive
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import all_ready, write_node
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.integration.redis_server import redis_server
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("redis-server")

PROCESSES = ("receiver", "dispatcher", "sender", "worker")
OBJECTS_PER_EXAM = 5
OUTAGE_S = 3


def assert_at_work(processes: list[Child], archive: Archive, before: list[int], *, study: int) -> None:
    """Check that the processes are the same as before, and that a new study is reported."""
    assert all_ready(processes)
    assert [process.pid for process in processes] == before
    send(int(processes[0].word or 0), small_exam(study))
    wait_until(lambda: len(archive.received) == OBJECTS_PER_EXAM, seconds=40)


@dataclass(frozen=True, slots=True)
class Site:
    """The processes of a node, its database and its broker."""

    processes: list[Child]
    postgresql: Path
    redis: ExitStack
    """The stack that holds the broker; closing it stops the broker."""
    redis_port: int
    path: Path

    def start_redis(self) -> None:
        self.redis.enter_context(redis_server(self.path, self.redis_port))


@pytest.fixture(scope="module")
def site(_session_archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the processes of a node on PostgreSQL and Redis."""
    path, port = tmp_path_factory.mktemp("node"), free_port()
    with postgresql_server() as postgresql, ExitStack() as redis:
        execute(postgresql, "CREATE DATABASE node")
        broker_url, database_url = f"redis://127.0.0.1:{port}/0", url_of(postgresql, "node")
        redis.enter_context(redis_server(path, port))
        archive_port = _session_archive.port
        node = write_node(path, archive_port=archive_port, broker_url=broker_url, database_url=database_url)
        with node.running(*PROCESSES) as processes:
            yield Site(processes, postgresql, redis, port, path)


@pytest.mark.peer("postgresql")
def test_the_node_uses_a_database_again_after_its_outage(site: Site, archive: Archive) -> None:
    before = [process.pid for process in site.processes]
    execute(site.postgresql, "ALTER DATABASE node ALLOW_CONNECTIONS false")
    execute(site.postgresql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'node'")
    time.sleep(OUTAGE_S)
    execute(site.postgresql, "ALTER DATABASE node ALLOW_CONNECTIONS true")
    assert_at_work(site.processes, archive, before, study=1)


@pytest.mark.peer("postgresql")
def test_the_node_uses_a_broker_again_after_its_outage(site: Site, archive: Archive) -> None:
    before = [process.pid for process in site.processes]
    site.redis.close()
    time.sleep(OUTAGE_S)
    site.start_redis()
    assert_at_work(site.processes, archive, before, study=2)
