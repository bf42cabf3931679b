"""Export of spans to an OpenTelemetry collector by OTLP over HTTP. OTLP's packages are loaded only when needed."""

from collections.abc import Sequence
from datetime import datetime

import requests

from glam_node import __version__
from glam_node.node.domain.trace import Span
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.bounded_session import bound_answers
from glam_node.node.workflow.record.traces import Export
from glam_node.settings.urls import without_password


def span_exporter(endpoint: str, node: str, timeout_s: float) -> Export:
    """Return a function that exports spans to the collector at `endpoint`.

    Raises:
        PermanentError: The extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.export import SpanExportResult
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"telemetry.otlp_endpoint needs the package {error.name}: pip install 'glam-node[otel]'."
        ) from error
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=timeout_s, session=_session(timeout_s))
    resource = Resource({"service.name": "glam-node", "service.instance.id": node, "service.version": __version__})

    def context(trace_id: int, span_id: int) -> SpanContext:
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def readable(span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context(span.trace_id, span.span_id),
            parent=context(span.trace_id, span.parent_id) if span.parent_id is not None else None,
            resource=resource,
            attributes={f"glam_node.{name}": value for name, value in span.attributes.items()},
            status=Status(StatusCode.ERROR if span.failed else StatusCode.OK),
            start_time=_nanoseconds(span.begin),
            end_time=_nanoseconds(span.end),
        )

    def export(spans: Sequence[Span]) -> None:
        if exporter.export([readable(span) for span in spans]) is not SpanExportResult.SUCCESS:
            raise TransientError(
                f"The collector at {without_password(endpoint)} does not accept traces. Check "
                "telemetry.otlp_endpoint. The node sends them again."
            )

    return export


def check_collector(endpoint: str, timeout_s: float) -> str:
    """Check that the collector accepts an empty list of spans.

    Returns:
        Words that confirm that the collector accepts traces.

    Raises:
        TransientError: The collector does not answer or refuses.
        PermanentError: The extra `otel` is not installed.
    """
    span_exporter(endpoint, "", timeout_s)
    remedy = "Check telemetry.otlp_endpoint."
    shown = without_password(endpoint)
    try:
        answer = _session(timeout_s).post(
            f"{endpoint.rstrip('/')}/v1/traces",
            data=b"",
            headers={"Content-Type": "application/x-protobuf"},
            timeout=timeout_s,
        )
    except requests.RequestException as error:
        reason = type(error).__name__
        raise TransientError(f"The collector at {shown} cannot be reached ({reason}). {remedy}") from None
    if not answer.ok:
        raise TransientError(f"The collector at {shown} answered HTTP status {answer.status_code}. {remedy}")
    return f"{shown} accepts traces"


def _session(timeout_s: float) -> requests.Session:
    session = requests.Session()
    bound_answers(session, timeout_s)
    return session


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
