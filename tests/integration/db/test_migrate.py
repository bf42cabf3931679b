"""Tests of the migrations, on both databases."""

import shutil
import sqlite3
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, insert, select, text
from sqlalchemy.engine import make_url

from glam_node.node.db import deliveries, jobs, migrate, studies
from glam_node.node.db.engine import open_database, open_engine
from glam_node.node.db.tables import Base
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.errors import PermanentError
from tests.integration.db import contenders

FIRST = Path(__file__).with_name("revision_0001.sql")
"""Output of sqlite3's .dump for a used database of the first version, which had the tables `TABLES`."""
TABLES = ("studies", "instances", "jobs", "deliveries", "events")  # each after the tables that it refers to


def differences(url: str) -> list[object]:
    """Return the changes that Alembic would make to match the tables."""
    engine = open_engine(url, create=True)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    return list(found)


def test_the_migrated_schema_matches_the_tables(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    assert differences(empty_url) == []


def test_an_empty_database_differs_from_the_tables(empty_url: str) -> None:
    assert len(differences(empty_url)) > 5


def test_a_database_is_current_only_after_the_upgrade(empty_url: str) -> None:
    before = migrate.is_current(empty_url)
    migrate.upgrade(empty_url)
    assert (before, migrate.is_current(empty_url)) == (False, True)


def test_upgrading_again_changes_nothing(url: str) -> None:
    migrate.upgrade(url)
    assert differences(url) == []


def test_several_processes_can_upgrade_at_once(empty_url: str) -> None:
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


def fill_as_the_first_version_did(url: str) -> None:
    """Create schema 0001 with the rows of `FIRST` in the database at `url`."""
    dump = FIRST.read_text(encoding="utf-8")
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(str(make_url(url).database))) as connection:
            connection.executescript(dump)
        return
    engine = open_engine(url)
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0001")
        for table in TABLES:
            for row in dump.splitlines():
                if row.startswith(f'INSERT INTO "{table}"'):
                    connection.exec_driver_sql(row.replace("%", "%%"))
    engine.dispose()


def rows(connection: Connection) -> dict[str, list[dict[str, object]]]:
    """Return the rows of every table of the first version, by column name."""
    return {
        table: [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]
        for table in TABLES
    }


def of_the_columns_of(
    before: dict[str, list[dict[str, object]]], after: dict[str, list[dict[str, object]]]
) -> dict[str, list[dict[str, object]]]:
    """Return the rows of `after` without the columns that `before` does not have."""
    return {
        table: [{column: row[column] for column in found[0]} for row in after[table]] if found else after[table]
        for table, found in before.items()
    }


def test_the_rows_of_the_first_version_survive_the_upgrade(empty_url: str) -> None:
    fill_as_the_first_version_did(empty_url)
    engine = open_engine(empty_url)
    with engine.connect() as connection:
        before = rows(connection)
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        after = rows(connection)
    engine.dispose()
    assert migrate.is_current(empty_url)
    assert all(before[table] for table in TABLES)
    assert of_the_columns_of(before, after) == before


def test_the_newest_code_reads_the_rows_of_the_first_version(empty_url: str) -> None:
    fill_as_the_first_version_did(empty_url)
    migrate.upgrade(empty_url)
    sessions = open_database(empty_url)
    with sessions() as session:
        assert {str(study.state) for study in studies.recent(session, 9)} == {"REPORTED", "SUBMITTED", "RECEIVING"}
        assert jobs.counts_by_state(session) == {JobState.SUCCEEDED: 2, JobState.PENDING: 1}
        assert deliveries.counts(session)["archive", DeliveryState.PENDING] > 0
    sessions.kw["bind"].dispose()


def test_revisions_match_those_of_alembic_in_order() -> None:
    scripts = ScriptDirectory(str(migrate.SCRIPTS)).walk_revisions()
    assert migrate.revisions() == [script.revision for script in scripts][::-1]


def kept(url: str) -> tuple[str, dict[str, list[dict[str, object]]]]:
    """Return the revision of the schema, and the rows of the first version's tables."""
    engine = open_engine(url)
    with engine.connect() as connection:
        schema = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
        found = rows(connection)
    engine.dispose()
    return schema, found


def test_the_rows_of_the_previous_version_survive_the_upgrade(empty_url: str) -> None:
    fill_as_the_first_version_did(empty_url)
    previous = migrate.revisions()[-2]
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), previous)
    engine.dispose()
    schema, before = kept(empty_url)
    migrate.upgrade(empty_url)
    newest, after = kept(empty_url)
    assert (schema, newest) == (previous, migrate.newest())
    assert of_the_columns_of(before, after) == before


def test_failures_of_the_previous_version_get_their_kind(empty_url: str) -> None:
    fill_as_the_first_version_did(empty_url)
    failures = {
        ("FAILED", "Out of memory: MemoryError It failed the same way in a fresh worker process."): "out_of_memory",
        ("FAILED", "3 worker processes died while they ran this job, which may be the cause."): "worker_died",
        ("PENDING", "No space left on device: /disk/x.dcm"): "disk_full",
        ("PENDING", "Input/output error"): "other",
        ("SUCCEEDED", "The segmentation could not be written: Out of memory: no"): "result_not_written",
        ("SUCCEEDED", ""): "",
    }
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0018")
        table = Table("jobs", MetaData(), autoload_with=connection)
        (first, *_) = connection.execute(select(table)).mappings()
        for number, (state, failure) in enumerate(failures):
            row = {**first, "job_id": f"of test {number}", "state": state, "failure": failure}
            connection.execute(insert(table).values(row))
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT state, failure, failure_kind FROM jobs WHERE job_id LIKE 'of test %'")
        ).all()
        assert connection.scalar(text("SELECT max(version) FROM studies")) == 0
    engine.dispose()
    assert {(state, failure): kind for state, failure, kind in found} == failures


def test_a_study_that_a_rule_held_before_holders_were_recorded_has_its_holder_after_the_upgrade(
    empty_url: str,
) -> None:
    fill_as_the_first_version_did(empty_url)
    by_rule, by_person = {"rule": "rules.blind", "reason": "held"}, {"account": "anna", "reason": "held"}
    holds = {"2.1": ([by_person, by_rule], "rule"), "2.2": ([by_rule, by_person], ""), "2.3": ([], "")}
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0025")
        table, events = (Table(name, MetaData(), autoload_with=connection) for name in ("studies", "events"))
        (first, *_) = connection.execute(select(table)).mappings()
        (event, *_) = connection.execute(select(events)).mappings()
        for number, (uid, (details, _)) in enumerate(holds.items()):
            connection.execute(insert(table).values({**first, "study_instance_uid": uid, "standing": "HELD"}))
            for place, detail in enumerate(details, 1000 + 10 * number):
                row = {**event, "event_id": place, "event": "study_held", "study_instance_uid": uid, "detail": detail}
                connection.execute(insert(events).values(row))
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT study_instance_uid, held_by FROM studies WHERE standing = 'HELD'"))
        assert {uid: holder for uid, holder in found if uid in holds} == {uid: one for uid, (_, one) in holds.items()}
    engine.dispose()


def test_the_previous_version_refuses_the_newest_schema_and_changes_nothing(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_as_the_first_version_did(empty_url)
    migrate.upgrade(empty_url)
    before, newest = kept(empty_url), migrate.newest()
    shutil.copytree(migrate.SCRIPTS, tmp_path / "migrations", ignore=shutil.ignore_patterns(f"revision_{newest}.py"))
    monkeypatch.setattr(migrate, "SCRIPTS", tmp_path / "migrations")
    assert migrate.newest() < newest
    with pytest.raises(PermanentError, match="newer glam-node"):
        migrate.upgrade(empty_url)
    assert kept(empty_url) == before
