"""Settings that are valid but have no effect because of another setting."""

from collections.abc import Iterator

from glam_node.settings.problems import Problem
from glam_node.settings.schema import Settings
from glam_node.settings.section import Section


def without_effect(settings: Settings) -> Iterator[Problem]:
    """Yield the settings that differ from their default but have no effect because of another setting."""
    console, alerts = settings.console, settings.alerts
    if not console.port:
        yield from _problems_of_keys("console", _changed(console), "console.port is 0, so there is no console")
    elif console.oidc.issuer is None:
        yield from _problems_of_keys("console.oidc", _changed(console.oidc), "console.oidc.issuer is unset")
    if not alerts.webhook_url and alerts.smtp_host is None:
        reason = "neither alerts.webhook_url nor alerts.smtp_host is set, so no alert is sent"
        yield from _problems_of_keys("alerts", _changed(alerts), reason)
    for section, key in (("tls", "port"), ("audit", "host"), ("telemetry", "otlp_endpoint")):
        changed = _changed(getattr(settings, section))
        if key not in changed:
            yield from _problems_of_keys(section, changed, f"{section}.{key} is unset")


def _changed(section: Section) -> set[str]:
    """Return the keys whose value is not the default; the generated file has many keys at their default."""
    return set(section.model_dump(exclude_defaults=True))


def _problems_of_keys(section: str, keys: set[str], reason: str) -> Iterator[Problem]:
    for key in sorted(keys):
        yield Problem(f"{section}.{key}", f"is without effect: {reason}")
