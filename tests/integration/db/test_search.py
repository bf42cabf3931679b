"""Tests of the search for studies, on both databases."""

import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from glam_node.node.db import migrate, search
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.search import Attention, SortKey, StudyFilter, StudyPosition
from glam_node.node.db.tables import DeliveryRow, JobRow, StudyRow
from glam_node.node.domain.delivery import DeliveryState
from tests.builders import NOW, after
from tests.integration.postgresql import execute, url_of

ENGLISH = "en_US.utf8"
LOCALES = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()


def put(sessions: SessionFactory, count: int) -> None:
    """Add studies 1.2.0, 1.2.1 ... from the newest to the oldest, two at a time with the same time of arrival."""
    rows = [
        {
            "study_instance_uid": f"1.2.{number}",
            "accession_number": f"A{number % 3}{number}",
            "patient_id": f"P{number % 4}",
            "study_date": f"202601{number % 2 + 1:02}",
            "standing": {7: "HELD", 9: "SET_ASIDE"}.get(number, "FREE"),
            "state": "REPORTED" if number % 2 else "INELIGIBLE",
            "rule": "settle_time" if number % 5 else "too_few_views",
            "first_received_at": NOW,
            "receiving_since": NOW,
            "last_received_at": after(-60 * (number // 2)),
        }
        for number in range(count)
    ]
    with sessions.begin() as session:
        session.execute(insert(StudyRow), rows)


def found(
    sessions: SessionFactory, wanted: StudyFilter, place: StudyPosition | None = None, limit: int = 100
) -> Sequence[str]:
    """Return the UIDs of the studies that are found, in order."""
    with sessions() as session:
        return [one.study_instance_uid for one in search.find(session, wanted, place, limit).studies]


@pytest.mark.parametrize(
    ("wanted", "uids"),
    [
        (StudyFilter(study_instance_uid="2.1"), ["1.2.1", "1.2.11", "1.2.10"]),
        (StudyFilter(study_instance_uid="_"), []),
        (StudyFilter(accession_number="A0"), ["1.2.0", "1.2.3", "1.2.6", "1.2.9"]),
        (StudyFilter(state="INELIGIBLE", rule="too_few_views"), ["1.2.0", "1.2.10"]),
        (StudyFilter(received_from=after(-60), received_before=NOW), ["1.2.3", "1.2.2"]),
        (StudyFilter("2.1", "A1", "REPORTED", "settle_time", after(-3600), after(1)), ["1.2.1"]),
        (StudyFilter(patient_id="P3"), ["1.2.3", "1.2.7", "1.2.11"]),
        (StudyFilter(patient_id="P"), []),
        (StudyFilter(patient_id="P3", study_date="20260102", received_before=after(-120)), ["1.2.7", "1.2.11"]),
        (StudyFilter(attention=Attention.HELD), ["1.2.7"]),
        (StudyFilter(attention=Attention.SET_ASIDE), ["1.2.9"]),
    ],
)
def test_a_search_applies_all_criteria(sessions: SessionFactory, wanted: StudyFilter, uids: list[str]) -> None:
    put(sessions, 12)
    assert found(sessions, wanted) == uids
    with sessions() as session:
        leaf = search.find(session, wanted, None, 1)
        assert search.count(session, wanted, leaf) == len(uids)


@pytest.mark.peer("postgresql")
@pytest.mark.skipif(ENGLISH not in LOCALES, reason=f"this machine has no locale {ENGLISH}")
def test_an_accession_number_is_found_by_its_beginning_whatever_the_collation(postgresql_socket: Path) -> None:
    execute(postgresql_socket, f"CREATE DATABASE english TEMPLATE template0 LOCALE '{ENGLISH}'")
    url = url_of(postgresql_socket, "english")
    migrate.upgrade(url)
    sessions = open_database(url)
    put(sessions, 12)
    assert found(sessions, StudyFilter(accession_number="A0")) == ["1.2.0", "1.2.3", "1.2.6", "1.2.9"]
    sessions.kw["bind"].dispose()


def test_pages_follow_each_other_without_gap_or_overlap_in_both_directions(sessions: SessionFactory) -> None:
    put(sessions, 12)
    everything, place, pages = found(sessions, StudyFilter()), None, []
    with sessions() as session:
        while True:
            leaf = search.find(session, StudyFilter(), place, 5)
            pages.append([one.study_instance_uid for one in leaf.studies])
            if not leaf.has_older:
                break
            place = StudyPosition(leaf.studies[-1].last_received_at, leaf.studies[-1].study_instance_uid)
        first = leaf.studies[0]
        back = search.find(
            session, StudyFilter(), StudyPosition(first.last_received_at, first.study_instance_uid, newer=True), 5
        )
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [uid for page in pages for uid in page] == everything
    assert [one.study_instance_uid for one in back.studies] == pages[1]
    assert (leaf.has_newer, back.has_newer, back.has_older) == (True, True, True)


def test_pages_with_the_oldest_first_follow_each_other_in_both_directions(sessions: SessionFactory) -> None:
    put(sessions, 12)
    everything, pages = found(sessions, StudyFilter())[::-1], []
    place: StudyPosition | None = None
    with sessions() as session:
        while True:
            leaf = search.find(session, StudyFilter(), place, 5, oldest_first=True)
            pages.append([one.study_instance_uid for one in leaf.studies])
            if not leaf.has_newer:
                break
            place = StudyPosition(leaf.studies[-1].last_received_at, leaf.studies[-1].study_instance_uid, newer=True)
        first = leaf.studies[0]
        beside = StudyPosition(first.last_received_at, first.study_instance_uid)
        back = search.find(session, StudyFilter(), beside, 5, oldest_first=True)
    assert [uid for page in pages for uid in page] == list(everything)
    assert [one.study_instance_uid for one in back.studies] == pages[1]
    assert (leaf.has_older, back.has_newer, back.has_older) == (True, True, True)


@pytest.mark.parametrize("sort_key", SortKey)
@pytest.mark.parametrize("ascending", [True, False])
def test_pages_of_every_order_follow_each_other_and_lead_back(
    sessions: SessionFactory, sort_key: SortKey, ascending: bool
) -> None:
    put(sessions, 12)
    place: StudyPosition | None = None
    pages: list[list[str]] = []
    with sessions() as session:
        more = True
        while more:
            leaf = search.find(session, StudyFilter(), place, 5, oldest_first=ascending, sort_key=sort_key)
            pages.append([one.study_instance_uid for one in leaf.studies])
            place = StudyPosition(leaf.studies[-1].last_received_at, pages[-1][-1], newer=ascending)
            more = leaf.has_newer if ascending else leaf.has_older
        before = StudyPosition(leaf.studies[0].last_received_at, pages[-1][0], newer=not ascending)
        back = search.find(session, StudyFilter(), before, 5, oldest_first=ascending, sort_key=sort_key)
        rows = session.scalars(select(StudyRow)).all()
    column = {"received": "last_received_at", "patient": "patient_id"}.get(sort_key, str(sort_key))
    keys = {
        row.study_instance_uid: (getattr(row, column), row.last_received_at, row.study_instance_uid) for row in rows
    }
    assert [uid for page in pages for uid in page] == sorted(keys, key=keys.__getitem__, reverse=not ascending)
    assert [one.study_instance_uid for one in back.studies] == pages[-2]


def test_a_study_needs_attention_while_a_result_waits_or_was_given_up_or_a_job_failed(sessions: SessionFactory) -> None:
    put(sessions, 12)
    states = {"1.2.1": "PENDING", "1.2.2": "ABANDONED", "1.2.3": "STORED", "1.2.9": "ABANDONED"}
    with sessions.begin() as session:
        session.execute(insert(JobRow), [job_row(uid) for uid in states] + [job_row("1.2.5", state="FAILED")])
        session.execute(insert(DeliveryRow), [delivery_row(uid, state) for uid, state in states.items()])
    assert found(sessions, StudyFilter(attention=Attention.NOT_DELIVERED)) == ["1.2.1"]
    assert found(sessions, StudyFilter(attention=Attention.GIVEN_UP)) == ["1.2.2", "1.2.5"]
    with sessions() as session:
        assert search.attention_counts(session) == {
            Attention.GIVEN_UP: 2,
            Attention.NOT_DELIVERED: 1,
            Attention.HELD: 1,
            Attention.SET_ASIDE: 1,
        }
        assert search.delivery_counts(session, ["1.2.1", "1.2.4"]) == {"1.2.1": {DeliveryState.PENDING: 1}}


def job_row(uid: str, state: str = "SUCCEEDED") -> dict[str, Any]:
    return {
        "job_id": f"job-{uid}",
        "study_instance_uid": uid,
        "state": state,
        "sop_instance_uids": [],
        "priority": 5,
        "settings_digest": "",
        "next_attempt_at": NOW,
        "created_at": NOW,
    }


def delivery_row(uid: str, state: str) -> dict[str, Any]:
    return {
        "delivery_id": f"delivery-{uid}",
        "job_id": f"job-{uid}",
        "study_instance_uid": uid,
        "destination": "archive",
        "sop_class_uid": "1.2",
        "sop_instance_uid": f"{uid}.9",
        "transfer_syntax_uid": "1.2",
        "path": "results/x",
        "state": state,
        "next_attempt_at": NOW,
        "created_at": NOW,
    }


def test_counting_ends_one_above_the_maximum(sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COUNTED", 10)
    put(sessions, 30)
    with sessions() as session:
        assert search.count(session, StudyFilter(), search.find(session, StudyFilter(), None, 5)) == 11


def test_rules_are_listed_once_each(sessions: SessionFactory) -> None:
    put(sessions, 12)
    with sessions.begin() as session:
        session.get_one(StudyRow, "1.2.4").rule = ""
        assert search.rules(session) == ["settle_time", "too_few_views"]


def test_a_study_that_became_newer_is_not_on_a_later_page(sessions: SessionFactory) -> None:
    put(sessions, 4)
    with sessions.begin() as session:
        session.get_one(StudyRow, "1.2.3").last_received_at = NOW + timedelta(hours=1)
    assert found(sessions, StudyFilter(), StudyPosition(after(0), "1.2.0")) == ["1.2.2"]


SEVERAL = [
    StudyFilter("2.1", "A1", "REPORTED", "settle_time", NOW, NOW),
    StudyFilter(state="REPORTED", rule="settle_time"),
]


def plan_of(sessions: SessionFactory, wanted: StudyFilter, sort_key: SortKey = SortKey.RECEIVED) -> tuple[str, bool]:
    """Return how the first page is read, and whether by SQLite."""
    put(sessions, 12)
    with sessions() as session:
        engine = session.connection().engine
        asked: list[tuple[str, Any]] = []

        def hear(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
            asked.append((statement, values))

        event.listen(engine, "before_cursor_execute", hear)
        search.find(session, wanted, None, 50, sort_key=sort_key)
        event.remove(engine, "before_cursor_execute", hear)
        on_sqlite = engine.dialect.name == "sqlite"
        if not on_sqlite:  # PostgreSQL would read a table of twelve rows without an index
            for way in ("seqscan", "bitmapscan", "sort"):
                session.connection().exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN " if on_sqlite else "EXPLAIN "
        statement, values = asked[0]
        rows = session.connection().exec_driver_sql(explain + statement, values)
        return " ".join(str(row[-1]) for row in rows), on_sqlite


@pytest.mark.parametrize("wanted", [StudyFilter("2.1"), StudyFilter(accession_number="A"), *SEVERAL])
def test_a_search_reads_one_index_in_the_order_of_the_list(sessions: SessionFactory, wanted: StudyFilter) -> None:
    plan, on_sqlite = plan_of(sessions, wanted)
    # PostgreSQL may prefer the index of a rule because of its statistics.
    assert "ix_studies_searched" in plan or ("ix_studies_rule" in plan and not on_sqlite)
    assert "TEMP B-TREE" not in plan
    assert "->  Sort" not in plan


@pytest.mark.parametrize("sort_key", [SortKey.STATE, SortKey.PATIENT_ID, SortKey.STUDY_DATE])
def test_a_page_of_every_order_is_read_from_an_index(sessions: SessionFactory, sort_key: SortKey) -> None:
    plan, _ = plan_of(sessions, StudyFilter(), sort_key)
    assert f"ix_studies_{ {'patient': 'patient_id'}.get(sort_key, sort_key) }_last_received_at" in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan
    assert "->  Sort" not in plan
