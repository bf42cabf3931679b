"""Fixtures that run every test of this folder on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from glam_node.node.db import migrate
from glam_node.node.db.engine import SessionFactory, open_database
from tests.integration.postgresql import execute, postgresql_server, url_of

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))]

_numbers = count(1)


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[Path]:
    """Start a server whose database `migrated` has the newest schema, and yield the directory of its socket."""
    with postgresql_server() as directory:
        execute(directory, "CREATE DATABASE migrated")
        migrate.upgrade(url_of(directory, "migrated"))
        yield directory


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'node.sqlite'}"
    return _new_database(request.getfixturevalue("postgresql_socket"), "template1")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of an empty SQLite database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("database") / "node.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> str:
    """Return the URL of an empty database with the newest schema."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(migrated, tmp_path)}"
    return _new_database(request.getfixturevalue("postgresql_socket"), "migrated")


@pytest.fixture
def other_url(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database of the same kind as `url`, without tables."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.sqlite'}"
    return _new_database(request.getfixturevalue("postgresql_socket"), "template1")


@pytest.fixture
def sessions(url: str) -> Iterator[SessionFactory]:
    """Yield a factory of sessions on the database at `url`."""
    opened = open_database(url)
    yield opened
    opened.kw["bind"].dispose()


def _new_database(socket_directory: Path, template: str) -> str:
    name = f"test{next(_numbers)}"
    execute(socket_directory, f"CREATE DATABASE {name} TEMPLATE {template}")
    return url_of(socket_directory, name)
