"""Tests of the writer thread that commits changes of many threads in few transactions."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from glam_node.node.db import audit, migrate
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.tables import EventRow, InstanceRow
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventKind
from glam_node.node.errors import NodeError, PermanentError, TransientError
from tests.builders import NOW


@pytest.fixture
def sessions(tmp_path: Path) -> SessionFactory:
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    migrate.upgrade(url)
    return open_database(url)


@pytest.fixture
def writer(sessions: SessionFactory) -> Iterator[Writer]:
    writer = Writer(sessions)
    yield writer
    writer.stop()


def one_event(session: Session) -> None:
    audit.record(session, EventKind.INSTANCE_STORED, NOW)


def a_broken_row(session: Session) -> None:
    session.add(InstanceRow(sop_instance_uid="1.2"))


def a_mistake(session: Session) -> None:
    one_event(session)
    raise RuntimeError("a mistake of ours")


def a_table_that_is_not_there(session: Session) -> None:
    session.connection().exec_driver_sql("SELECT * FROM nowhere")


def events(sessions: SessionFactory) -> int:
    with sessions() as session:
        return session.scalars(select(func.count()).select_from(EventRow)).one()


def together(writer: Writer, *changes: object) -> list[BaseException | None]:
    """Submit all changes while the writer is busy with another, and return the error of each, or None."""
    gate, held, failures = threading.Event(), threading.Event(), dict[int, BaseException]()

    def hold(session: Session) -> None:
        held.set()
        gate.wait(10)

    def submit(number: int, change: object) -> None:
        try:
            writer.submit(change)  # type: ignore[arg-type]
        except Exception as error:
            failures[number] = error

    threads = [threading.Thread(target=submit, args=(-1, hold))]
    threads[0].start()
    held.wait(10)
    threads += [threading.Thread(target=submit, args=(number, change)) for number, change in enumerate(changes)]
    for thread in threads[1:]:
        thread.start()
    while writer._changes.qsize() < len(changes):
        time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join()
    return [failures.get(number) for number in range(len(changes))]


def test_a_change_is_committed_when_submit_returns(writer: Writer, sessions: SessionFactory) -> None:
    writer.submit(one_event)
    assert events(sessions) == 1


def test_submit_returns_the_result_of_the_change(writer: Writer) -> None:
    assert writer.submit(lambda _: "result") == "result"


@pytest.mark.parametrize("bad", [a_broken_row, a_mistake, a_table_that_is_not_there])
def test_a_failed_change_does_not_affect_others_of_its_group(
    writer: Writer, sessions: SessionFactory, bad: object
) -> None:
    failures = together(writer, one_event, bad, one_event)
    assert failures[0] is None
    assert failures[1] is not None
    assert failures[2] is None
    assert events(sessions) == 2


def test_waiting_changes_are_committed_together(writer: Writer, sessions: SessionFactory) -> None:
    commits: list[object] = []
    event.listen(sessions.kw["bind"], "commit", commits.append)
    together(writer, *[one_event] * 20)
    assert len(commits) == 1
    assert events(sessions) == 20


@pytest.mark.parametrize(
    ("change", "error"), [(a_broken_row, PermanentError), (a_table_that_is_not_there, TransientError)]
)
def test_a_database_error_is_transient_or_permanent(writer: Writer, change: object, error: type[NodeError]) -> None:
    with pytest.raises(error, match="database_url"):
        writer.submit(change)  # type: ignore[arg-type]


def test_an_error_of_a_change_is_raised_unchanged_and_nothing_is_committed(
    writer: Writer, sessions: SessionFactory
) -> None:
    with pytest.raises(RuntimeError, match="of ours"):
        writer.submit(a_mistake)
    assert events(sessions) == 0


def test_a_stopped_writer_refuses_at_once(sessions: SessionFactory) -> None:
    writer = Writer(sessions)
    writer.stop()
    with pytest.raises(TransientError, match="stopping"):
        writer.submit(one_event)


def test_a_stopping_writer_commits_the_waiting_changes(sessions: SessionFactory) -> None:
    writer = Writer(sessions)
    assert together(writer, one_event, one_event) == [None, None]
    writer.stop()
    assert events(sessions) == 2


def test_changes_of_one_kind_are_applied_by_one_call_and_each_gets_its_own_result(writer: Writer) -> None:
    calls: list[list[int]] = []
    held, gate = threading.Event(), threading.Event()

    def squares(_: Session, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        return [number**2 for number in numbers]

    def hold(_: Session) -> None:
        held.set()
        gate.wait(10)

    with ThreadPoolExecutor() as pool:
        pool.submit(writer.submit, hold)
        held.wait(10)
        results = [pool.submit(writer.submit_one_of, squares, number) for number in (1, 2, 4)]
        while writer._changes.qsize() < 3:
            time.sleep(0.001)
        gate.set()
        assert [result.result() for result in results] == [1, 4, 16]
    assert [sorted(call) for call in calls] == [[1, 2, 4]]
