"""Recorded refusals: each kind once a minute, with a count of those left out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from glam_node.node.db import audit
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.workflow.receive.refusals import REMEMBERED, Refusals
from tests.unit.workflow.workbench import Workbench

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Refusing:
    """The refusals of one sender, and the events about them."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._writer = Writer(bench.sessions)
        self._refusals = Refusals(self._writer)

    def refuse(self, reason: str, seconds: float = 0) -> None:
        """Record one more refusal, `seconds` after noon."""
        detail: EventDetail = {"calling_ae_title": "SCANNER", "address": "127.0.0.1", "reason": reason}
        self._refusals.record(EventKind.ASSOCIATION_REJECTED, detail, NOON + timedelta(seconds=seconds))

    def details(self) -> list[dict[str, object]]:
        """Return the details of the recorded events, oldest first."""
        with self._bench.sessions() as session:
            events = audit.recent(session, EventKind.ASSOCIATION_REJECTED, 1000)
        return [dict(event.detail) for event in reversed(events)]

    def close(self) -> None:
        """Stop the writer's thread."""
        self._writer.stop()


@pytest.fixture
def refusing(bench: Workbench) -> Iterator[Refusing]:
    """Return a node that refuses."""
    refusing = Refusing(bench)
    yield refusing
    refusing.close()


def test_the_same_refusal_is_recorded_once_a_minute_and_the_next_record_says_how_often(refusing: Refusing) -> None:
    for seconds in (0, 1, 59, 60):
        refusing.refuse("unknown", seconds)
    assert [detail.get("repeated") for detail in refusing.details()] == [None, 2]


def test_a_flood_of_refusals_fills_no_log(refusing: Refusing) -> None:
    with capture_logs() as lines:
        for seconds in range(121):
            refusing.refuse("unknown", seconds)
    said = [(line["event"], line["log_level"], line["reason"], line.get("repeated")) for line in lines]
    assert said == [("association_rejected", "warning", "unknown", repeated) for repeated in (None, 59, 59)]


def test_every_refusal_that_there_is_room_for_is_recorded_and_the_others_are_counted(refusing: Refusing) -> None:
    for number in range(REMEMBERED + 5):
        refusing.refuse(f"reason {number}")
    assert len(refusing.details()) == REMEMBERED
    refusing.refuse("later", seconds=61)
    assert refusing.details()[-1]["unlisted"] == 5
