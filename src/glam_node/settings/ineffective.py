"""Settings that are valid but have no effect because of another setting."""

from collections.abc import Iterator

from glam_node.settings.problems import Problem
from glam_node.settings.schema import Settings


def without_effect(settings: Settings) -> Iterator[Problem]:
    """Yield the settings that are set but have no effect because of another setting."""
    console, alerts, audit, telemetry = settings.console, settings.alerts, settings.audit, settings.telemetry
    if not console.port:
        yield from _problems_of_keys(
            "console", console.model_fields_set - {"port"}, "console.port is 0, so there is no console"
        )
    elif console.oidc.issuer is None:
        yield from _problems_of_keys("console.oidc", console.oidc.model_fields_set, "console.oidc.issuer is unset")
    if not alerts.webhook_url and alerts.smtp_host is None:
        reason = "neither alerts.webhook_url nor alerts.smtp_host is set, so no alert is sent"
        yield from _problems_of_keys("alerts", alerts.model_fields_set, reason)
    for section, given, is_used, key in (
        ("tls", settings.tls.model_fields_set - {"plain"}, settings.tls.port is not None, "port"),
        ("audit", audit.model_fields_set, audit.host is not None, "host"),
        ("telemetry", telemetry.model_fields_set, bool(telemetry.otlp_endpoint), "otlp_endpoint"),
    ):
        if not is_used:
            yield from _problems_of_keys(section, given - {key}, f"{section}.{key} is unset")


def _problems_of_keys(section: str, keys: set[str], reason: str) -> Iterator[Problem]:
    for key in sorted(keys):
        yield Problem(f"{section}.{key}", f"is without effect: {reason}")
