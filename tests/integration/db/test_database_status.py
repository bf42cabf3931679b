"""The status of a database as `glam-node doctor` reads it."""

from pathlib import Path

import psycopg
import pytest

from glam_node.node.db.database_status import read_status
from glam_node.node.db.tables import Base
from tests.builders import NOW


def test_a_database_that_can_be_written_has_no_refusal(url: str) -> None:
    assert read_status(url, NOW).refusal == ""


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("right", ["INSERT", "UPDATE"])
def test_every_table_that_cannot_be_written_is_named(postgresql_socket: Path, right: str) -> None:
    database, role = f"may_not_{right.lower()}", f"without_{right.lower()}"
    with _connected(postgresql_socket, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE migrated")
        connection.execute(f"CREATE ROLE {role} LOGIN")
    url, named = f"postgresql+psycopg://{role}@/{database}?host={postgresql_socket}", {}
    with _connected(postgresql_socket, database) as connection:
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        for table in Base.metadata.tables:
            connection.execute(f"REVOKE {right} ON {table} FROM {role}")
            named[table] = read_status(url, NOW).refusal
            connection.execute(f"GRANT {right} ON {table} TO {role}")
    assert named == {table: f"permission denied for table {table}" for table in Base.metadata.tables}


def _connected(socket_directory: Path, database: str) -> psycopg.Connection:
    return psycopg.connect(host=str(socket_directory), user="postgres", dbname=database, autocommit=True)
