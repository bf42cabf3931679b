"""Settings that are accepted but have no effect, because of another setting or because they are of an older version."""

from collections.abc import Iterator
from typing import Any

from glam_node.settings.destinations import without_idle_keys
from glam_node.settings.problems import Problem
from glam_node.settings.schema import Settings
from glam_node.settings.section import Section

FORMER_KEYS = {("node", "upper_layer"): "there is only one receiver now"}
"""The keys of older versions, each as section and key, and the reason why it is gone."""


def without_former_keys(tree: dict[str, Any]) -> dict[str, Any]:
    """Return settings, given as JSON values, without what files of older versions may contain but has no effect."""
    kept = {
        section: {key: value for key, value in inner.items() if (section, key) not in FORMER_KEYS}
        if isinstance(inner, dict)
        else inner
        for section, inner in tree.items()
    }
    destinations = kept.get("destinations")
    if isinstance(destinations, dict):
        kept["destinations"] = {
            name: without_idle_keys(one) if isinstance(one, dict) else one for name, one in destinations.items()
        }
    return kept


def former_keys(tree: dict[str, Any]) -> Iterator[Problem]:
    """Yield the keys of older versions in settings that are given as JSON values."""
    for (section, key), reason in FORMER_KEYS.items():
        inner = tree.get(section)
        if isinstance(inner, dict) and key in inner:
            yield Problem(f"{section}.{key}", f"no longer has an effect, because {reason}; delete it")


def without_effect(settings: Settings) -> Iterator[Problem]:
    """Yield the settings that differ from their default but have no effect because of another setting."""
    console, alerts = settings.console, settings.alerts
    if not console.port:
        yield from _problems_of_keys("console", _changed(console), "console.port is 0, so there is no console")
    elif console.oidc.issuer is None:
        yield from _problems_of_keys("console.oidc", _changed(console.oidc), "console.oidc.issuer is unset")
    if not settings.hl7.port:
        yield from _problems_of_keys("hl7", _changed(settings.hl7), "hl7.port is 0, so HL7 messages are not accepted")
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
