"""[telemetry]: traces for who runs OpenTelemetry."""

from glam_node.settings.section import Section
from glam_node.settings.urls import CollectorURL
from glam_node.settings.values import Patience


class TelemetrySettings(Section):
    """[telemetry]: the steps of every study as OpenTelemetry spans, nothing of patients in it; the extra otel."""

    otlp_endpoint: CollectorURL = ""
    """The collector, by OTLP over HTTP, as in http://collector:4318; empty: no traces, and nothing of it is loaded."""
    timeout: Patience = 10.0
    """Seconds to wait for it."""
