"""Traces: one study is one trace at a real collector."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status
from pydicom.dataset import Dataset

from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.trace import Span as NodeSpan
from glam_node.node.errors import TransientError
from glam_node.node.scu.otlp import span_exporter
from glam_node.node.workflow.record.traces import export_traces
from tests.builders import four_views
from tests.ports import free_port
from tests.posts import Posts
from tests.unit.workflow.workbench import Archive, Workbench, down


class Collector(Posts):
    """A collector that keeps the spans it gets; it answers 400 while it is ill, which the exporter does not retry."""

    def __init__(self) -> None:
        super().__init__("/v1/traces", ill_status=400)

    @property
    def resources(self) -> list[ResourceSpans]:
        return [one for body in self.bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [span for one in self.resources for scope in one.scope_spans for span in scope.spans]


@contextmanager
def listening() -> Iterator[Collector]:
    collector = Collector()
    with collector.listening():
        yield collector


def told(bench: Workbench, url: str) -> int:
    """Export all traces, and return the number of events."""
    export, count = span_exporter(url, "GLAMNODE", 5.0), 0
    bench.clock.turn(10)
    while new := export_traces(bench.sessions, export, bench.clock()):
        count += new
    return count


def attributes(span: Span) -> dict[str, str]:
    return {one.key: str(one.value) for one in span.attributes}


def test_the_steps_of_a_study_are_spans_of_one_trace(bench: Workbench, exam: list[Dataset]) -> None:
    with listening() as collector:
        assert told(bench, collector.url) == 0
        job = bench.submitted(*exam)
        bench.run(job)
        bench.deliver(Archive())
        assert told(bench, collector.url) > 5
        spans = collector.spans
    names = [span.name for span in spans]
    for name in ("receive", "assemble", "judge", "wait", "infer", "infer.read", "infer.segment", "publish", "study"):
        assert names.count(name) == 1, names
    assert names.count("deliver") == len(bench.deliveries()) > 1
    assert len({span.trace_id for span in spans}) == 1
    (root,) = [span for span in spans if not span.parent_span_id]
    (infer,) = [span for span in spans if span.name == "infer"]
    assert root.name == "study"
    assert {span.parent_span_id for span in spans if span is not root} == {root.span_id, infer.span_id}
    assert len({span.span_id for span in spans}) == len(spans)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert all(span.status.code == Status.STATUS_CODE_OK for span in spans)
    assert attributes(infer)["glam_node.job_id"].find(job.job_id) > 0


def test_spans_contain_nothing_about_patients(bench: Workbench, exam: list[Dataset]) -> None:
    with listening() as collector:
        told(bench, collector.url)
        bench.run(bench.submitted(*exam))
        told(bench, collector.url)
        everything = str(collector.resources)
    assert "infer" in everything
    for image in exam:
        for secret in (image.PatientID, str(image.PatientName), image.StudyInstanceUID, image.SOPInstanceUID):
            assert str(secret) not in everything


def test_the_trace_of_an_ineligible_study_ends_with_the_judgement(bench: Workbench) -> None:
    with listening() as collector:
        told(bench, collector.url)
        bench.record(*four_views(presentation_intent_type="FOR PROCESSING"))
        bench.clock.turn(300)
        bench.dispatch()
        told(bench, collector.url)
        (judge,) = [span for span in collector.spans if span.name == "judge"]
    assert "for_processing_only" in attributes(judge)["glam_node.rule"]


def test_a_failure_is_an_error_in_the_same_trace(bench: Workbench, exam: list[Dataset]) -> None:
    with listening() as collector:
        told(bench, collector.url)
        bench.run(bench.submitted(*exam))
        bench.deliver(Archive(answer=down))
        told(bench, collector.url)
        failed = [span for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert {span.name for span in failed} == {"deliver"}


def test_a_collector_that_was_away_gets_all_spans_later(bench: Workbench, exam: list[Dataset]) -> None:
    with listening() as collector:
        told(bench, collector.url)
        bench.run(bench.submitted(*exam))
        collector.ill = True
        with pytest.raises(TransientError, match="does not accept traces"):
            told(bench, collector.url)
        collector.ill = False
        told(bench, collector.url)
        assert told(bench, collector.url) == 0
        assert [span.name for span in collector.spans].count("study") == 1


def test_an_event_of_a_host_whose_clock_is_ahead_is_not_skipped(bench: Workbench) -> None:
    spans: list[NodeSpan] = []
    export_traces(bench.sessions, spans.extend, bench.clock())
    for seconds in (60, 0):
        with bench.sessions.begin() as session:
            at = bench.clock() + timedelta(seconds=seconds)
            audit.record(session, EventKind.JOB_STARTED, at, study_instance_uid="2.25.1", job_id="one")
    export_traces(bench.sessions, spans.extend, bench.clock() + timedelta(seconds=30))
    export_traces(bench.sessions, spans.extend, bench.clock() + timedelta(seconds=90))
    assert len(spans) == 2


def test_a_collector_that_does_not_listen_is_named(bench: Workbench, exam: list[Dataset]) -> None:
    export_traces(bench.sessions, lambda _: None, bench.clock())
    bench.submitted(*exam)
    url = f"http://127.0.0.1:{free_port()}"
    bench.clock.turn(10)
    with pytest.raises(TransientError, match=f"The collector at {url} does not accept traces"):
        export_traces(bench.sessions, span_exporter(url, "GLAMNODE", 0.5), bench.clock())


def test_no_exporter_is_loaded_without_an_endpoint() -> None:
    program = (
        "import sys, glam_node.node.run.dispatcher as it; from glam_node.settings.schema import Settings;"
        "sys.exit(any(name.startswith('opentelemetry.exporter') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
