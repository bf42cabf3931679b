"""Backfill from a real archive: its limits, its progress, and the priority of what it brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset

from glam_node.node.bootstrap.base_node import BaseNode, open_base_node
from glam_node.node.bootstrap.sources import built_source, study_fetcher
from glam_node.node.db import backfill
from glam_node.node.domain.archived import StudyQuery
from glam_node.node.domain.backfill import BackfillLimits, BackfillState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.backfill import Backfill, day_queries
from glam_node.node.workflow.receive import fetch_study
from glam_node.settings.load import validated
from tests.integration.modality import small_exam
from tests.integration.scu.query_archive import QueryArchive
from tests.ports import free_port

FREE = BackfillLimits(per_hour=1_000_000)
ALL = [StudyQuery(date_from="20000101", limit=100)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the archive once for each study, without pauses."""
    monkeypatch.setattr(fetch_study, "ARRIVAL_S", 0.1)
    monkeypatch.setattr(fetch_study, "ATTEMPTS", 1)


@dataclass
class Clock:
    """A clock that runs only while the backfill waits."""

    time: datetime = datetime(2026, 3, 4, 12, tzinfo=UTC)
    waited: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    def tell(self, words: str, *_: int) -> None:
        """Keep what a person is told."""
        self.waited.append(words)


def exams(count: int) -> list[Dataset]:
    """Return one view of each of several studies, of consecutive days."""
    views = [small_exam(seed)[0] for seed in range(1, count + 1)]
    for number, view in enumerate(views, start=1):
        view.StudyDate = f"202001{number:02d}"
    return views


@contextmanager
def opened(root: Path, port: int) -> Iterator[BaseNode]:
    """Open a node whose source is the archive at this port."""
    source = {"kind": "c-get", "host": "127.0.0.1", "port": port, "timeout": 2.0}
    node = open_base_node(
        validated({"storage": {"root": str(root), "minimum_free_bytes": 0}, "sources": {"pacs": source}})
    )
    try:
        yield node
    finally:
        node.sessions.kw["bind"].dispose()


@contextmanager
def prepared(root: Path, port: int, limits: BackfillLimits = FREE, clock: Clock | None = None) -> Iterator[Backfill]:
    """Yield a backfill of all studies that the archive at this port has."""
    ticking = clock or Clock()
    with opened(root, port) as node, study_fetcher("pacs", node) as fetcher:
        source = built_source("pacs", node.settings)
        run = Backfill(source, fetcher, node.sessions, limits, ticking.now, ticking.sleep)
        yield run


def states(run: Backfill) -> list[BackfillState]:
    """Return the states of the studies, the newest first."""
    return [one.entry.state for one in run.outcomes()]


def test_all_studies_of_a_range_of_days_are_fetched(tmp_path: Path) -> None:
    archive, clock = QueryArchive(exams(3)), Clock()
    with archive.listening() as port, prepared(tmp_path, port, clock=clock) as run:
        days = day_queries(datetime(2020, 1, 2, tzinfo=UTC), datetime(2020, 1, 3, tzinfo=UTC), "MG", 100)
        assert run.find(days) == []
        run.fetch(clock.tell)
        assert [one.entry.study.study_date for one in run.outcomes()] == ["20200103", "20200102"]
        assert states(run) == [BackfillState.FETCHED] * 2
        assert {one.state for one in run.outcomes()} == {"RECEIVING"}


def test_a_run_that_was_interrupted_continues_where_it_stopped(tmp_path: Path) -> None:
    archive = QueryArchive(exams(3))

    def interrupt(words: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with archive.listening() as port:
        with prepared(tmp_path, port) as run:
            run.find(ALL)
            with pytest.raises(KeyboardInterrupt):
                run.fetch(interrupt)
            assert states(run).count(BackfillState.FETCHED) == 1
        with prepared(tmp_path, port) as run:
            run.find(ALL)
            run.fetch(Clock().tell)
            assert states(run) == [BackfillState.FETCHED] * 3
    assert len(archive.asked("C-GET")) == 3


def test_no_more_studies_an_hour_are_fetched_than_allowed(tmp_path: Path) -> None:
    clock = Clock()
    limits, began = BackfillLimits(per_hour=60), clock.now()
    with QueryArchive(exams(4)).listening() as port, prepared(tmp_path, port, limits, clock) as run:
        run.find(ALL)
        run.fetch(clock.tell)
    assert timedelta(minutes=3) <= clock.now() - began < timedelta(minutes=4)


def test_a_backfill_waits_outside_of_the_allowed_hours(tmp_path: Path) -> None:
    archive, clock = QueryArchive(exams(1)), Clock()
    local = clock.now().astimezone()
    later = (local + timedelta(hours=3)).time()
    limits = BackfillLimits((later, time(later.hour, 59)), per_hour=1_000_000)
    with archive.listening() as port, prepared(tmp_path, port, limits, clock) as run:
        run.find(ALL)
        run.fetch(clock.tell)
    assert clock.now() - local >= timedelta(hours=3)
    assert f"waiting until {later:%H:%M}" in clock.waited


def test_only_what_the_backfill_brings_has_the_lowest_priority(tmp_path: Path) -> None:
    views = exams(2)
    live, earlier = (str(view.StudyInstanceUID) for view in views)
    with QueryArchive(views).listening() as port:
        with opened(tmp_path, port) as node, study_fetcher("pacs", node) as fetcher:
            (study,) = built_source("pacs", node.settings).find_studies(StudyQuery(study_instance_uid=live)).studies
            fetcher.fetch(study)
        with prepared(tmp_path, port) as run:
            run.find(ALL)
            run.fetch(Clock().tell)
        with opened(tmp_path, port) as node, node.sessions() as session:
            assert [backfill.has_low_priority(session, uid) for uid in (live, earlier)] == [False, True]
            assert backfill.unfinished(session) == 2


def test_a_study_that_is_not_whole_is_said_and_tried_again_by_the_next_run(tmp_path: Path) -> None:
    lossy = QueryArchive(exams(2), sent=lambda wanted, _: [one for one in wanted if one.StudyDate != "20200101"])
    with lossy.listening() as port, prepared(tmp_path, port) as run:
        run.find(ALL)
        run.fetch(Clock().tell)
        whole, missing = run.outcomes()
        assert (whole.entry.state, missing.entry.state) == (BackfillState.FETCHED, BackfillState.FAILED)
        assert missing.state == "NOT_FETCHED"
        assert "0 of 1 instance stored, 0 new; 1 missing" in missing.reason
    with QueryArchive(exams(2)).listening() as port, prepared(tmp_path, port) as run:
        run.find(ALL)
        run.fetch(Clock().tell)
        assert states(run) == [BackfillState.FETCHED] * 2


def test_an_archive_that_stays_away_ends_the_run(tmp_path: Path) -> None:
    clock = Clock()
    with QueryArchive(exams(6)).listening() as port, prepared(tmp_path, port, clock=clock) as run:
        run.find(ALL)
    with opened(tmp_path, free_port()) as node, study_fetcher("pacs", node) as fetcher:
        again = Backfill(built_source("pacs", node.settings), fetcher, node.sessions, FREE, clock.now, clock.sleep)
        again._uids = run._uids
        began = clock.now()
        with pytest.raises(PermanentError, match=r"5 studies in a row could not be fetched, .* cannot be reached"):
            again.fetch(clock.tell)
    assert clock.now() - began >= timedelta(minutes=20)
