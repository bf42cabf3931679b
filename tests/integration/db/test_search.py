"""Studies are found among others, page by page, on both databases."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from glam_node.node.db import search
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.search import Place, Wanted
from glam_node.node.db.tables import StudyRow
from tests.builders import NOW, after


def put(sessions: SessionFactory, count: int) -> None:
    """Studies 1.2.0, 1.2.1 ..., two of which at a time came at the same moment, the first last."""
    rows = [
        {
            "study_instance_uid": f"1.2.{number}",
            "accession_number": f"A{number % 3}{number}",
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


def found(sessions: SessionFactory, wanted: Wanted, place: Place | None = None, limit: int = 100) -> Sequence[str]:
    """UIDs, in order."""
    with sessions() as session:
        return [one.study_instance_uid for one in search.find(session, wanted, place, limit).studies]


@pytest.mark.parametrize(
    ("wanted", "uids"),
    [
        (Wanted(study_instance_uid="2.1"), ["1.2.1", "1.2.11", "1.2.10"]),
        (Wanted(study_instance_uid="_"), []),
        (Wanted(accession_number="A0"), ["1.2.0", "1.2.3", "1.2.6", "1.2.9"]),
        (Wanted(state="INELIGIBLE", rule="too_few_views"), ["1.2.0", "1.2.10"]),
        (Wanted(received_from=after(-60), received_before=NOW), ["1.2.3", "1.2.2"]),
        (Wanted("2.1", "A1", "REPORTED", "settle_time", after(-3600), after(1)), ["1.2.1"]),
    ],
)
def test_everything_that_is_wanted_holds(sessions: SessionFactory, wanted: Wanted, uids: list[str]) -> None:
    put(sessions, 12)
    assert found(sessions, wanted) == uids
    with sessions() as session:
        leaf = search.find(session, wanted, None, 1)
        assert search.count(session, wanted, leaf) == len(uids)


def test_pages_follow_each_other_without_gap_or_overlap_and_lead_back(sessions: SessionFactory) -> None:
    put(sessions, 12)
    everything, place, pages = found(sessions, Wanted()), None, []
    with sessions() as session:
        while True:
            leaf = search.find(session, Wanted(), place, 5)
            pages.append([one.study_instance_uid for one in leaf.studies])
            if not leaf.has_older:
                break
            place = Place(leaf.studies[-1].last_received_at, leaf.studies[-1].study_instance_uid)
        first = leaf.studies[0]
        back = search.find(session, Wanted(), Place(first.last_received_at, first.study_instance_uid, newer=True), 5)
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [uid for page in pages for uid in page] == everything
    assert [one.study_instance_uid for one in back.studies] == pages[1]
    assert (leaf.has_newer, back.has_newer, back.has_older) == (True, True, True)


def test_counting_ends_where_it_tells_nobody_anything(
    sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COUNTED", 10)
    put(sessions, 30)
    with sessions() as session:
        assert search.count(session, Wanted(), search.find(session, Wanted(), None, 5)) == 11


def test_rules_are_listed_once_each(sessions: SessionFactory) -> None:
    put(sessions, 12)
    with sessions.begin() as session:
        session.get_one(StudyRow, "1.2.4").rule = ""
        assert search.rules(session) == ["settle_time", "too_few_views"]


def test_a_study_that_is_newer_is_on_no_later_page(sessions: SessionFactory) -> None:
    put(sessions, 4)
    with sessions.begin() as session:
        session.get_one(StudyRow, "1.2.3").last_received_at = NOW + timedelta(hours=1)
    assert found(sessions, Wanted(), Place(after(0), "1.2.0")) == ["1.2.2"]


SEVERAL = [Wanted("2.1", "A1", "REPORTED", "settle_time", NOW, NOW), Wanted(state="REPORTED", rule="settle_time")]


@pytest.mark.parametrize("wanted", [Wanted("2.1"), Wanted(accession_number="A"), *SEVERAL])
def test_a_search_reads_one_index_in_the_order_of_the_list(sessions: SessionFactory, wanted: Wanted) -> None:
    put(sessions, 12)
    with sessions() as session:
        engine = session.connection().engine
        asked: list[tuple[str, Any]] = []

        def hear(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
            asked.append((statement, values))

        event.listen(engine, "before_cursor_execute", hear)
        search.find(session, wanted, None, 50)
        event.remove(engine, "before_cursor_execute", hear)
        on_sqlite = engine.dialect.name == "sqlite"
        if not on_sqlite:  # of twelve rows it would read the table
            for way in ("seqscan", "bitmapscan", "sort"):
                session.connection().exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN " if on_sqlite else "EXPLAIN "
        statement, values = asked[0]
        rows = session.connection().exec_driver_sql(explain + statement, values)
        plan = " ".join(str(row[-1]) for row in rows)
    # By its statistics PostgreSQL may prefer the index of a rule.
    assert "ix_studies_searched" in plan or ("ix_studies_rule" in plan and not on_sqlite)
    assert "TEMP B-TREE" not in plan
    assert "->  Sort" not in plan
