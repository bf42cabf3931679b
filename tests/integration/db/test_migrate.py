"""The schema that migrations make."""

from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from glam_node.node.db import migrate
from glam_node.node.db.engine import open_engine
from glam_node.node.db.tables import Base
from glam_node.node.errors import PermanentError
from tests.integration.db import contenders


def differences(url: str) -> list[object]:
    """What Alembic would have to change."""
    engine = open_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    return list(found)


def test_the_migrated_schema_is_that_of_the_tables(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    assert differences(empty_url) == []


def test_an_empty_database_differs(empty_url: str) -> None:
    assert len(differences(empty_url)) > 5


def test_a_database_is_current_only_after_the_upgrade(empty_url: str) -> None:
    before = migrate.is_current(empty_url)
    migrate.upgrade(empty_url)
    assert (before, migrate.is_current(empty_url)) == (False, True)


def test_upgrading_again_changes_nothing(url: str) -> None:
    migrate.upgrade(url)
    assert differences(url) == []


def test_processes_that_upgrade_at_once_do_not_harm_each_other(empty_url: str) -> None:
    spawn = get_context("spawn")
    barrier = spawn.Barrier(4)
    processes = [spawn.Process(target=contenders.upgrade, args=(empty_url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert migrate.is_current(empty_url)


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(PermanentError, match="newer glam-node"):
        migrate.upgrade(url)
