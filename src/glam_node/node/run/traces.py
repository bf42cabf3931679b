"""Export of traces to their collector, as a thread of the dispatcher."""

from datetime import UTC, datetime

from glam_node.node.bootstrap import database_trouble
from glam_node.node.run.process import Running, repeat
from glam_node.node.scu.otlp import span_exporter
from glam_node.node.workflow.record.traces import Export, export_traces
from glam_node.settings.schema import TelemetrySettings

INTERVAL_S = 2.0


class Traces:
    """The exporter to the collector that the settings in force name."""

    def __init__(self, running: Running) -> None:
        """Raise PermanentError if a collector is configured and the packages for it are not installed."""
        self._running = running
        self._chosen = TelemetrySettings()
        self._export: Export | None = None
        self._follow_settings()

    def keep(self) -> None:
        """Export traces until asked to stop, also while the collector is at times unreachable."""
        repeat(self.tick, every_s=INTERVAL_S, stop=self._running.stop)

    def tick(self) -> None:
        """Export all traces that were not exported yet.

        Raises:
            TransientError: The collector or the database does not answer.
        """
        self._follow_settings()
        node = self._running.node
        if self._export is not None:
            with database_trouble(node.settings):
                while export_traces(node.sessions, self._export, datetime.now(UTC)):
                    continue

    def _follow_settings(self) -> None:
        settings = self._running.settings
        if settings.telemetry != self._chosen:
            endpoint, timeout = settings.telemetry.otlp_endpoint, settings.telemetry.timeout
            self._export = span_exporter(endpoint, settings.node.ae_title, timeout) if endpoint else None
            self._chosen = settings.telemetry
