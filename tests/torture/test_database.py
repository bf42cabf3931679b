"""A database that another process locks, or that crashes and comes back."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.postgresql import DURABLE, crash, execute, postgresql_server, start_again, url_of
from tests.torture.rig import NEEDS, Rig, is_full_length, torture

pytestmark = NEEDS

LOCKS = (3.0, 35.0, *([5.0] * 20)) if is_full_length() else (3.0, 5.0)
CRASHES = 40 if is_full_length() else 2

LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


@contextmanager
def locked(database: Path, seconds: float) -> Iterator[None]:
    """Lock the database in another process for this number of seconds."""
    command = (sys.executable, "-c", LOCK, str(database), str(seconds))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield


def test_a_database_that_others_lock_while_processes_are_killed_loses_nothing(tmp_path: Path) -> None:
    with torture("SQLite locked, and kills", tmp_path) as rig:
        for seconds in LOCKS:
            with locked(tmp_path / "storage" / "glam-node.sqlite", seconds):
                rig.tree.note("locked", seconds=seconds)
                assert_nobody_writes(tmp_path / "storage" / "glam-node.sqlite")
                rig.tend(seconds / 2)
                rig.tree.kill(rig.random.choice(sorted(rig.tree.processes)))
                rig.tend(seconds / 2)
            rig.tend(rig.random.uniform(0.5, 2.0))
        rig.assert_nothing_is_lost()


def assert_nobody_writes(database: Path) -> None:
    """Assert that the lock prevents writing."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=0)
    try:
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.close()


@pytest.mark.peer("postgresql")
def test_a_database_server_that_dies_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    with postgresql_server(DURABLE) as server:
        execute(server, "CREATE DATABASE node")
        with torture("PostgreSQL restarted", tmp_path, database_url=url_of(server, "node")) as rig:
            for _ in range(CRASHES):
                crash_and_return(rig, server)
            rig.assert_nothing_is_lost()


def crash_and_return(rig: Rig, server: Path) -> None:
    """Crash the database for up to three seconds, then let it run for up to four."""
    rig.tree.note("crash")
    crash(server)
    rig.tend(rig.random.uniform(0, 3))
    start_again(server, DURABLE)
    rig.tend(rig.random.uniform(0.5, 4))
