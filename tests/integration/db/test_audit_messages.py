"""Tests of the chain of audit messages, on both databases."""

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from glam_node.node.db import audit, audit_messages, migrate
from glam_node.node.db.engine import SessionFactory, open_database, open_engine
from glam_node.node.db.tables import EventRow
from glam_node.node.domain.event import EventKind
from glam_node.node.errors import TransientError
from tests.builders import NOW, after


@pytest.fixture
def three(sessions: SessionFactory) -> SessionFactory:
    """Return a database with three messages, the last of which is about an event."""
    with sessions.begin() as session:
        audit.record(session, EventKind.STUDY_RETIRED, NOW)
        messages = [(NOW, f"<message{number}/>".encode()) for number in (1, 2, 3)]
        sequences = audit_messages.append(session, messages)
        (event,) = audit.without_message(session, 10)
        audit.set_messages(session, {event.event_id: sequences[-1]})
    return sessions


def tamper(sessions: SessionFactory, statement: str) -> None:
    """Change the table as the owner of the database can, who drops the triggers first."""
    with sessions.begin() as session:
        on_table = " ON audit_messages" if session.get_bind().dialect.name == "postgresql" else ""
        for trigger in ("audit_messages_stay", "audit_messages_are_kept"):
            session.execute(text(f"DROP TRIGGER {trigger}{on_table}"))
        session.execute(text(statement))


def fault(sessions: SessionFactory) -> tuple[int, str] | None:
    with sessions() as session:
        found = audit_messages.first_fault(session)
    return (found.sequence, found.reason) if found else None


def test_an_unchanged_chain_has_no_fault(three: SessionFactory) -> None:
    assert fault(three) is None


def test_an_empty_chain_has_no_fault(sessions: SessionFactory) -> None:
    assert fault(sessions) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_messages SET hash = previous_hash WHERE sequence = 2",
        "UPDATE audit_messages SET event_at = sent_at WHERE sequence = 2",
        "UPDATE audit_messages SET sequence = 7 WHERE sequence = 2",
        "DELETE FROM audit_messages WHERE sequence = 2",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_message(three: SessionFactory, change: str) -> None:
    with pytest.raises(DatabaseError, match="audit messages are only appended"), three.begin() as session:
        session.execute(text(change))


def test_a_message_can_be_marked_as_sent(three: SessionFactory) -> None:
    with three.begin() as session:
        audit_messages.mark_sent(session, audit_messages.unsent(session, 2), after(5))
    with three() as session:
        assert [message.sequence for message in audit_messages.unsent(session, 10)] == [3]
        assert audit_messages.counts(session) == (3, 1)


def test_a_changed_message_is_found(three: SessionFactory) -> None:
    tamper(three, "UPDATE audit_messages SET message = (SELECT message FROM audit_messages WHERE sequence = 1)")
    assert fault(three) == (2, "its hash is not that of its bytes, so one of the two was changed")


def test_a_changed_message_with_a_matching_hash_is_found_by_the_next_message(three: SessionFactory) -> None:
    with three() as session:
        third, _, first = audit_messages.recent(session, 3)
    forged = audit_messages.hash_of(first.hash, third.message)
    other = "(SELECT message FROM audit_messages WHERE sequence = 3)"
    tamper(three, f"UPDATE audit_messages SET message = {other}, hash = '{forged}' WHERE sequence = 2")
    assert fault(three) == (3, "its previous hash is not that of the message before it")


def test_a_deleted_message_is_found(three: SessionFactory) -> None:
    tamper(three, "DELETE FROM audit_messages WHERE sequence = 2")
    assert fault(three) == (2, "it is missing")


def test_a_deleted_last_message_is_found_by_the_event_that_refers_to_it(three: SessionFactory) -> None:
    tamper(three, "DELETE FROM audit_messages WHERE sequence = 3")
    assert fault(three) == (3, "it is missing, although an event refers to it")


def test_an_event_gets_one_audit_message(three: SessionFactory) -> None:
    with three() as session:
        assert audit.without_message(session, 10) == []


def test_an_event_that_another_process_has_settled_is_refused(three: SessionFactory) -> None:
    with three.begin() as session:
        audit.record(session, EventKind.STUDY_RETIRED, NOW)
    with three() as session:
        (event,) = audit.without_message(session, 10)
    with three.begin() as session:
        audit.set_messages(session, {event.event_id: 0})
    with pytest.raises(TransientError, match="Run only one dispatcher"), three.begin() as session:
        audit.set_messages(session, {event.event_id: 3})


def test_an_event_of_a_kind_that_only_a_newer_version_knows_waits_for_that_version(three: SessionFactory) -> None:
    newer = {"event": "of_a_newer_version", "study_instance_uid": "1.2"}
    with three.begin() as session:
        session.add(EventRow(at=NOW, detail={}, **newer))
        audit.record(session, EventKind.STUDY_HELD, NOW, study_instance_uid="1.2")
    with three() as session:
        assert [event.kind for event in audit.timeline(session, "1.2")] == [EventKind.STUDY_HELD]
        assert [event.kind for event in audit.without_message(session, 1)] == [EventKind.STUDY_HELD]


def test_events_older_than_the_audit_trail_get_no_message(empty_url: str) -> None:
    engine = open_engine(empty_url, create=True)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrate.SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        columns = "(at, event, study_instance_uid, detail)"
        connection.execute(text(f"INSERT INTO events {columns} VALUES ('2026-01-02', 'study_retired', '1.2', '{{}}')"))
    engine.dispose()
    migrate.upgrade(empty_url)
    sessions = open_database(empty_url)
    with sessions() as session:
        assert (audit.without_message(session, 10), len(audit.timeline(session, "1.2"))) == ([], 1)
    sessions.kw["bind"].dispose()
