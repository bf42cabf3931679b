"""Debian's PostgreSQL on a Unix socket, in a directory that goes with it."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

# What a test database may lose in a power cut is of no interest.
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=", "max_connections=50")


@contextmanager
def postgresql_server() -> Iterator[Path]:
    """The directory of the socket of a running server whose superuser is `postgres`, without a password."""
    directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data = directory / "data"
    if os.getuid() == 0:
        shutil.chown(directory, "postgres")
    try:
        _run(directory, "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        options = [argument for setting in FAST for argument in ("-c", setting)]
        command = _command("postgres", "-D", data, "-k", directory, *options)
        with (
            (directory.parent / f"{directory.name}.log").open("wb") as log,
            subprocess.Popen(command, cwd=directory, stdout=log, stderr=log) as server,
        ):
            try:
                _wait(directory)
                yield directory
            finally:
                _run(directory, "pg_ctl", "-D", data, "-m", "immediate", "stop")
                server.wait(timeout=10)
    finally:
        shutil.rmtree(directory)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)


def url_of(socket_directory: Path, database: str) -> str:
    """What `database_url` would say."""
    return f"postgresql+psycopg://postgres@/{database}?host={socket_directory}"


def execute(socket_directory: Path, statement: str) -> None:
    """Run one statement as superuser."""
    with psycopg.connect(host=str(socket_directory), user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


def _wait(directory: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return execute(directory, "SELECT 1")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _command(program: str, *arguments: str | Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    newest = max(Path("/usr/lib/postgresql").iterdir(), key=lambda version: int(version.name))
    command = [str(newest / "bin" / program), *(str(argument) for argument in arguments)]
    if os.getuid() == 0:
        assert pwd.getpwnam("postgres")
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    return command


def _run(directory: Path, program: str, *arguments: str | Path) -> None:
    subprocess.run(_command(program, *arguments), cwd=directory, check=True, capture_output=True)
