"""Export of events that concurrent transactions record."""

from datetime import timedelta

import pytest

from glam_node.node.db import audit, traces
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.trace import Span
from glam_node.node.workflow.record.traces import export_traces
from tests.builders import NOW


def events_of(spans: list[Span]) -> list[str]:
    """Return the studies whose events were exported, in order."""
    return [span.study_instance_uid for span in spans]


@pytest.mark.parametrize("url", [pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))], indirect=True)
def test_the_events_of_a_slow_transaction_are_exported_once_it_commits(sessions: SessionFactory) -> None:
    spans: list[Span] = []
    export_traces(sessions, spans.extend, NOW)
    with sessions() as slow, sessions() as never:
        for session, study in ((slow, "2.25.1"), (never, "2.25.2")):
            audit.record(session, EventKind.JOB_STARTED, NOW, study_instance_uid=study, job_id="one")
            session.flush()
        with sessions.begin() as quick:
            audit.record(quick, EventKind.JOB_STARTED, NOW, study_instance_uid="2.25.3", job_id="two")
        for minutes in (1, 2):
            export_traces(sessions, spans.extend, NOW + timedelta(minutes=minutes))
        assert events_of(spans) == ["2.25.3"]
        slow.commit()
        never.rollback()
    for hours in (1, 2):
        export_traces(sessions, spans.extend, NOW + timedelta(hours=hours))
    assert events_of(spans) == ["2.25.3", "2.25.1"]
    with sessions() as session:
        assert len(traces.cursor(session).gaps) == 1
    export_traces(sessions, spans.extend, NOW + timedelta(days=2))
    with sessions() as session:
        assert not traces.cursor(session).gaps


def test_many_events_are_exported_in_parts_without_a_gap(sessions: SessionFactory) -> None:
    spans: list[Span] = []
    export_traces(sessions, spans.extend, NOW)
    with sessions.begin() as session:
        for number in range(250):
            kind = EventKind.JOB_STARTED if number % 2 else EventKind.INSTANCE_STORED
            audit.record(session, kind, NOW, study_instance_uid=f"2.25.{number}", job_id="one")
    counts = [export_traces(sessions, spans.extend, NOW) for _ in range(3)]
    assert counts == [100, 25, 0]
    assert events_of(spans) == [f"2.25.{number}" for number in range(1, 250, 2)]
