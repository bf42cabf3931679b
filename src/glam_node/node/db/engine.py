"""Connections to the database, with the pragmas that make SQLite durable."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from glam_node.node.db.local_disk import refuse_network_disk

BUSY_TIMEOUT_MS = 30_000
READ_ONLY = "glam_node_read_only"

SessionFactory = sessionmaker[Session]


class UtcDateTime(TypeDecorator[datetime]):
    """Column type of aware UTC datetimes; SQLite itself does not store a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert the value to UTC.

        Raises:
            ValueError: The value is naive.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored in the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the value as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def database_url(configured: str, root: Path) -> str:
    """Return the configured URL, or the URL of the SQLite database in the storage root."""
    return configured or sqlite_url(root.resolve() / "glam-node.sqlite")


def sqlite_url(path: Path) -> str:
    """Return the URL of the SQLite database at `path`, with the reserved characters of a URL escaped."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def open_engine(url: str, *, create: bool = False) -> Engine:
    """Return an engine for the database at `url`.

    Args:
        url: The URL of the database.
        create: Whether a connection creates an SQLite database that does not exist. Without it, a connection that is
            opened while the disk is not mounted fails; it does not create an empty database in the mount point.

    Raises:
        PermanentError: The URL names an SQLite database on a network file system.
    """
    refuse_network_disk(url)
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        if not create:
            _refuse_to_create(engine)
        _make_durable(engine)
    return engine


def open_database(url: str) -> SessionFactory:
    """Return a factory of sessions on the database at `url`, whose schema `migrate.upgrade` creates."""
    return sessionmaker(open_engine(url), expire_on_commit=False)


def reading(sessions: SessionFactory) -> SessionFactory:
    """Return a factory of sessions that only read; on SQLite they neither block writers nor wait for them."""
    engine: Engine = sessions.kw["bind"]
    return sessionmaker(engine.execution_options(**{READ_ONLY: True}), expire_on_commit=False)


def is_damaged(error: DBAPIError) -> bool:
    """Return whether the file of an SQLite database is damaged, or is no database."""
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refuse_to_create(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def open_existing(_dialect: Dialect, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        if arguments[0] != ":memory:" and not options.get("uri"):
            arguments[0] = existing_sqlite(Path(arguments[0]))
            options["uri"] = True


def existing_sqlite(path: Path) -> str:
    """Return the URI with which SQLite opens the database at `path` for writing, and does not create it."""
    return f"{path.absolute().as_uri()}?mode=rw"


_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


# If two connections switch a new database to WAL mode at the same moment, SQLite returns an error to one of them at
# once in spite of busy_timeout, to avoid a deadlock (https://sqlite.org/c3ref/busy_handler.html). A later attempt
# succeeds.
@retry(
    retry=retry_if_exception(
        # The low byte is the primary code (https://sqlite.org/rescode.html).
        lambda error: isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _LOCKED
    ),
    stop=stop_after_delay(BUSY_TIMEOUT_MS / 1000),
    wait=wait_random(0.005, 0.05),
    reraise=True,
)
def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")


def _make_durable(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    # Without IMMEDIATE, a transaction that reads first and writes later fails at once with "database is locked", in
    # spite of busy_timeout, if another process wrote in between.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
