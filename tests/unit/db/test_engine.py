"""Tests of the connection to SQLite."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from glam_node.node.db import audit, migrate
from glam_node.node.db.engine import SessionFactory, open_database, reading
from glam_node.node.domain.event import EventKind
from tests.builders import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "node.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sessions(path: Path) -> Iterator[SessionFactory]:
    opened = open_database(f"sqlite:///{path}")
    yield opened
    opened.kw["bind"].dispose()


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_a_commit_survives_a_power_cut(sessions: SessionFactory, pragma: str, value: object) -> None:
    with sessions() as session:
        assert session.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_reader_does_not_wait_for_a_writer_and_sees_committed_rows(sessions: SessionFactory) -> None:
    with sessions.begin() as writer:
        audit.record(writer, EventKind.JOB_STARTED, NOW)
        writer.flush()
        with reading(sessions)() as reader:
            assert audit.recent(reader, EventKind.JOB_STARTED, 10) == []
    with reading(sessions)() as reader:
        assert len(audit.recent(reader, EventKind.JOB_STARTED, 10)) == 1


def test_a_session_that_may_write_holds_the_write_lock_from_its_first_statement(
    sessions: SessionFactory, path: Path
) -> None:
    with sessions() as session:
        session.execute(text("SELECT 1"))
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_times_are_returned_in_utc(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        audit.record(session, EventKind.JOB_STARTED, NOW)
    with sessions() as session:
        assert audit.recent(session, EventKind.JOB_STARTED, 1)[0].at == NOW


def test_a_naive_time_is_refused(sessions: SessionFactory) -> None:
    with sessions() as session:
        audit.record(session, EventKind.JOB_STARTED, datetime(2026, 1, 2))  # noqa: DTZ001
        with pytest.raises(StatementError, match="without a time zone"):
            session.flush()


def test_a_missing_database_is_not_created_by_the_check_of_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    assert not migrate.is_current(f"sqlite:///{path}")
    assert not path.exists()
