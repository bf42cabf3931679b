"""Settings of [telemetry] and [log]."""

from typing import Literal

from glam_node.settings.section import Section
from glam_node.settings.urls import CollectorURL
from glam_node.settings.values import Timeout


class TelemetrySettings(Section):
    """[telemetry]: the steps of every study as OpenTelemetry spans, without patient data; it needs the extra otel."""

    otlp_endpoint: CollectorURL = ""
    """URL of the collector for OTLP over HTTP, such as http://collector:4318; empty: no traces are made."""
    timeout: Timeout = 10.0
    """Seconds to wait for the collector."""


class LogSettings(Section):
    """[log]: log messages on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity that is written."""
    format: Literal["console", "json"] = "console"
    """console: text for people; json: one JSON object per line, for machines."""
