"""Copy of the whole database in one file, and its restoration: SQLite's online backup, or pg_dump and pg_restore."""

import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from glam_node.node.db.engine import existing_sqlite, open_database, open_engine, reading, sqlite_url
from glam_node.node.errors import PermanentError, TransientError

SQLITE, POSTGRESQL = "database.sqlite", "database.dump"


@contextmanager
def snapshot(url: str, directory: Path) -> Iterator[tuple[Path, Session]]:
    """Copy the database into `directory` while other processes may write to it.

    Yields:
        The path of the copy, and a session that reads exactly the data of the copy.

    Raises:
        PermanentError: pg_dump is not installed or failed.
        TransientError: The SQLite database cannot be copied.
    """
    database = make_url(url)
    if database.get_backend_name() == "sqlite":
        copy = directory / SQLITE
        copy.unlink(missing_ok=True)
        _copy_sqlite(existing_sqlite(Path(str(database.database))), copy)
        sessions = open_database(sqlite_url(copy))
        try:
            with reading(sessions)() as session:
                yield copy, session
        finally:
            sessions.kw["bind"].dispose()
        return
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            name = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            copy = directory / POSTGRESQL
            dump = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}")
            _run_client([*dump, f"--file={copy}", f"--dbname={_without_password(database)}"], database)
            with Session(connection) as session:
                yield copy, session
    finally:
        engine.dispose()


def refuse_occupied(url: str, copy: str) -> None:
    """Check that the database at `url` is empty and of the same kind as the copy.

    Args:
        url: The URL of the database to restore to.
        copy: The file name of the copy, SQLITE or POSTGRESQL.

    Raises:
        PermanentError: The database is not empty, or is of another kind.
    """
    database = make_url(url)
    shown = database.render_as_string(hide_password=True)
    kind, other = ("SQLite", "PostgreSQL") if copy == SQLITE else ("PostgreSQL", "SQLite")
    if (database.get_backend_name() == "sqlite") is not (copy == SQLITE):
        raise PermanentError(
            f"The backup is of {kind}, but database_url names {other}: {shown}. Set database_url to an empty {kind} "
            "database."
        )
    if copy == SQLITE:
        occupied = Path(str(database.database)).exists()
    else:
        engine = open_engine(url)
        occupied = bool(inspect(engine).get_table_names())
        engine.dispose()
    if occupied:
        raise PermanentError(
            f"Database {shown} is not empty, and restore does not overwrite data. Name an empty one in database_url."
        )


def load(url: str, copy: Path) -> None:
    """Load the copy into the empty database at `url`, which stays empty on an error.

    Raises:
        PermanentError: pg_restore is not installed or failed.
        TransientError: The SQLite database cannot be copied.
        OSError: The SQLite database cannot be created.
    """
    database = make_url(url)
    if copy.name == SQLITE:
        # With immutable=1 SQLite creates no files next to the copy, which may be in a read-only directory.
        _copy_sqlite(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", Path(str(database.database)))
        return
    target = f"--dbname={_without_password(database)}"
    options = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges")
    _run_client(["pg_restore", *options, target, str(copy)], database)


def _copy_sqlite(source: str, target: Path) -> None:
    """Copy the database at the URI in one step; others may write meanwhile, and the copy contains complete writes."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with closing(sqlite3.connect(source, uri=True)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
        os.fsync(descriptor)
    except sqlite3.Error as error:
        target.unlink()
        raise TransientError(
            f"The database {source} cannot be copied to {target}: {error}. Check whether the disk is full."
        ) from error
    finally:
        os.close(descriptor)


def _without_password(database: URL) -> str:
    return database._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)


def _run_client(command: Sequence[str], database: URL) -> None:
    """Run a PostgreSQL client, with the password in the environment, where other users cannot see it."""
    if shutil.which(command[0]) is None:
        raise PermanentError(
            f"{command[0]} is not installed on this host. Install it with `apt-get install postgresql-client`. "
            f"The command is: {shlex.join(command)}"
        )
    password = {"PGPASSWORD": str(database.password)} if database.password else {}
    done = subprocess.run(command, env={**os.environ, **password}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermanentError(f"{shlex.join(command)} failed: {done.stderr.strip()}")
