"""Debian's PostgreSQL on a Unix socket, in a temporary directory."""

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from tests.certificates import Signed
from tests.waiting import wait_for_answer

# A test database may lose data in a power cut.
DURABLE = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=50")
"""Options with which commits survive a crash of the server, but not of the machine."""
FAST = (*DURABLE, "synchronous_commit=off")


@contextmanager
def postgresql_server(settings: Sequence[str] = FAST, port: int = 5432) -> Iterator[Path]:
    """Yield the socket directory of a running server whose superuser is `postgres`, without a password."""
    directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data = directory / "data"
    if os.getuid() == 0:
        shutil.chown(directory, "postgres")
    try:
        _run(directory, "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        command = _command("postgres", "-D", data, "-p", port, *_options(directory, settings))
        with (
            (directory.parent / f"{directory.name}.log").open("wb") as log,
            subprocess.Popen(command, cwd=directory, stdout=log, stderr=log) as server,
        ):
            try:
                wait_for_answer(partial(execute, directory, "SELECT 1", port), psycopg.OperationalError)
                yield directory
            finally:
                crash(directory)
                server.wait(timeout=60)
    finally:
        shutil.rmtree(directory)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)


@contextmanager
def guarded_postgresql_server(port: int, signed: Signed, password: str) -> Iterator[str]:
    """Yield the `database_url` of a server on 127.0.0.1 that requires TLS and a password."""
    with postgresql_server((*FAST, "listen_addresses=127.0.0.1"), port) as directory:
        data = directory / "data"
        for file, name in ((signed.certificate, "server.crt"), (signed.key, "server.key")):
            (data / name).write_bytes(file.read_bytes())
            (data / name).chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(data / name, "postgres")
        (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        execute(directory, f"CREATE ROLE glam LOGIN PASSWORD '{password}'", port)
        execute(directory, "CREATE DATABASE glam OWNER glam", port)
        execute(directory, "ALTER SYSTEM SET ssl = on", port)
        execute(directory, "SELECT pg_reload_conf()", port)
        query = f"sslmode=verify-full&sslrootcert={signed.ca}"
        yield f"postgresql+psycopg://glam:{password}@127.0.0.1:{port}/glam?{query}"


def crash(socket_directory: Path) -> None:
    """Kill the server without letting it write anything."""
    _run(socket_directory, "pg_ctl", "-D", socket_directory / "data", "-m", "immediate", "stop")


def start_again(socket_directory: Path, settings: Sequence[str]) -> None:
    """Start the server again after a crash, and wait until it accepts connections."""
    data, log = socket_directory / "data", socket_directory / "restarts.log"
    options = " ".join(shlex.quote(str(word)) for word in _options(socket_directory, settings))
    _run(socket_directory, "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")


def url_of(socket_directory: Path, database: str) -> str:
    """Return the value of `database_url` for the database."""
    return f"postgresql+psycopg://postgres@/{database}?host={socket_directory}"


def execute(socket_directory: Path, statement: str, port: int = 5432) -> None:
    """Run one statement as superuser."""
    with psycopg.connect(
        host=str(socket_directory), port=port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement)


def _options(directory: Path, settings: Sequence[str]) -> list[str | Path]:
    return ["-k", directory, *(argument for setting in settings for argument in ("-c", setting))]


def _command(program: str, *arguments: str | Path | int) -> list[str]:
    """Return the command, run as another user if necessary, since PostgreSQL refuses to run as root."""
    newest = max(Path("/usr/lib/postgresql").iterdir(), key=lambda version: int(version.name))
    command = [str(newest / "bin" / program), *(str(argument) for argument in arguments)]
    if os.getuid() == 0:
        assert pwd.getpwnam("postgres")
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    return command


def _run(directory: Path, program: str, *arguments: str | Path) -> None:
    subprocess.run(_command(program, *arguments), cwd=directory, check=True, capture_output=True)
