"""Settings of [telemetry]."""

from glam_node.settings.section import Section
from glam_node.settings.urls import CollectorURL
from glam_node.settings.values import Patience


class TelemetrySettings(Section):
    """[telemetry]: the steps of every study as OpenTelemetry spans, without patient data; it needs the extra otel."""

    otlp_endpoint: CollectorURL = ""
    """URL of the collector for OTLP over HTTP, such as http://collector:4318; empty: no traces are made."""
    timeout: Patience = 10.0
    """Seconds to wait for the collector."""
