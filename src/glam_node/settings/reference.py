"""Rendering of settings: the reference, a commented settings file, and the settings in force."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from glam_node.settings.keys import NAME, DocumentedSection, Key, KeyPath, sections
from glam_node.settings.schema import Settings
from glam_node.settings.urls import SECRET_KEYS, secrets_of, without_password

WIDTH = 110

_HEAD = """\
Settings of glam-node. This file has every key at its default: keep the keys that you change, and delete the rest.
Each key can also be set by an environment variable, which wins over the file: GLAM_NODE__NODE__PORT=11113.
Relative paths start at the directory in which glam-node is started.
"""
_REFERENCE_HEAD = """\
# Settings

Settings come from one TOML file (`--settings FILE` or `GLAM_NODE_SETTINGS`) and from environment variables, which win
over the file: `GLAM_NODE__NODE__PORT=11113` sets `node.port`, and `GLAM_NODE__PEERS__PACS__AE_TITLE=PACS` adds
`[peers.pacs]`. An unknown key is a mistake; `glam-node settings check` lists every mistake at once. Relative paths
start at the directory in which glam-node is started."""
_EXAMPLE_NAMES = {
    "peers": "pacs",
    "destinations": "archive",
    "c-store": "archive",
    "stow-rs": "dicomweb",
    "folder": "trial",
    "sources": "archive",
    "c-move": "archive",
    "c-get": "second",
    "hl7": "ris",
    "rules": "hologic",
}
"""The names of the examples in the commented file, by section or by kind of destination or source; unless one is given
here, the name of the kind."""
_EXAMPLES_OF_KEYS = {
    "tls.port": "2762",
    "destinations.NAME.authorization": '"/etc/glam-node/authorization"',
    "sources.NAME.authorization": '"/etc/glam-node/authorization"',
    "destinations.NAME.template": '"/etc/glam-node/oru_r01.hl7.j2"',
    "destinations.NAME.presentation.banner": '"For research use, not for diagnosis"',
    "destinations.NAME.presentation.series_number": "9700",
    "console.oidc.client_secret_path": '"/etc/glam-node/client-secret"',
    "console.oidc.public_url": '"https://glam-node.example.org"',
    "alerts.smtp_host": '"mail.example.org"',
    "alerts.smtp_password_path": '"/etc/glam-node/smtp-password"',
    "audit.host": '"syslog.example.org"',
    "inference.calibration.benign.slope": "1.0",
    "inference.calibration.benign.intercept": "0.0",
    "inference.calibration.malignant.slope": "1.0",
    "inference.calibration.malignant.intercept": "0.0",
}
"""Examples for keys for which an example of their type would be misleading."""
_EXAMPLES = {
    "an AE title": '"PACS"',
    "a path": '"/srv/directory"',
    "a file": '"/etc/glam-node/file.pem"',
    "an https:// URL": '"https://login.example.org"',
    "an address or": '"archive.example.org"',
    "a number": "0.5",
    "a mail address": '"glam-node@hospital.example"',
    "an integer": "1",
    "a string, 1 to 256": '"glam-node"',
    "a string": '"Research {subject}"',
    '"percent" or': '"ten"',
    "an expression": "'Manufacturer == \"HOLOGIC, Inc.\"'",
    "a list, each a name": '["archive"]',
    'a list, each "segmentation"': '["measurement_report"]',
    "a list, each a string": '["archive"]',
    '"urgent" or': '"urgent"',
    '"SCT" or': '"SRT"',
    '"segmentation" or': '"comprehensive_sr"',
}


def reference() -> str:
    """Return the reference of all settings as Markdown, one table per section."""
    return "\n".join([_REFERENCE_HEAD, *(line for section in sections() for line in _markdown(section))]) + "\n"


def _markdown(section: DocumentedSection) -> Iterator[str]:
    kind = f' with kind = "{section.kind}"' if section.kind else ""
    title = f"[{section.dotted}]{kind}: {section.description}" if section.path else "Outside of all sections"
    yield from ("", f"## {title}", "", "| key | allowed | default | meaning |", "|---|---|---|---|")
    for key in section.keys:
        default = "required" if key.required else "unset" if key.default is None else f"`{_toml(key.default)}`"
        yield f"| `{key.dotted}` | {key.allowed} | {default} | {key.description} |"


def commented_file(chosen: Mapping[KeyPath, Any] | None = None) -> str:
    """Return a settings file in which comments explain every key, with one example of each section that a site names.

    Args:
        chosen: The values to set, by path; every other key keeps its default.
    """
    lines = [f"# {line}" for line in _HEAD.splitlines()]
    for section in sections():
        lines += ["", *_toml_section(section, chosen or {})]
    return "\n".join(lines) + "\n"


def example_path(section: DocumentedSection) -> KeyPath:
    """Return the path of a section in the commented file, where an example has a name."""
    named = section.kind or next(iter(section.path), "")
    example = _EXAMPLE_NAMES.get(named, named)
    return tuple(example if segment == NAME else segment for segment in section.path)


def _toml_section(section: DocumentedSection, chosen: Mapping[KeyPath, Any]) -> Iterator[str]:
    is_example = NAME in section.path
    path = example_path(section)
    has_chosen = any(place[:-1] == path for place in chosen)
    changes_nothing = is_example or all(key.default is None for key in section.keys)
    off = "# " if changes_nothing and not has_chosen else ""
    if section.path:
        repeat = " Repeat it under other names." if section.path[-1] == NAME else ""
        yield f"# {section.description[0].upper()}{section.description[1:]}{repeat}"
        yield f"{off}[{'.'.join(path)}]"
    for key in section.keys:
        yield from textwrap.wrap(
            f"{key.description} ({_range(key)})", WIDTH, initial_indent="# ", subsequent_indent="# "
        )
        name = key.path[-1]
        if (*path, name) in chosen:
            yield f"{name} = {_toml(chosen[*path, name])}"
        else:
            yield f"{'# ' if off or changes_nothing or key.default is None else ''}{name} = {_example(key)}"


def _range(key: Key) -> str:
    return (
        f"{key.allowed}; required" if key.required else f"{key.allowed}; unset" if key.default is None else key.allowed
    )


def _example(key: Key) -> str:
    if key.default is not None:
        return _toml(key.default)
    if key.path[-1] == "kind":
        return key.allowed
    if key.dotted in _EXAMPLES_OF_KEYS:
        return _EXAMPLES_OF_KEYS[key.dotted]
    return next(example for words, example in _EXAMPLES.items() if key.allowed.startswith(words))


def section_to_append(path: str, **values: Any) -> str:
    """Return a section that can be appended to any settings file."""
    return "\n".join([f"[{path}]", *[f"{key} = {_toml(value)}" for key, value in values.items()]])


def in_force(settings: Settings) -> str:
    """Return the settings as TOML with masked passwords; without passwords, it can be loaded as the same settings."""
    return "\n".join(_tables(settings.model_dump(mode="json", exclude_none=True), ())).strip() + "\n"


def masked(settings: Settings) -> dict[str, Any]:
    """Return the settings as JSON values with masked passwords."""
    return {key: _masked(key, value) for key, value in settings.model_dump(mode="json").items()}


def secrets_in(settings: Settings) -> frozenset[str]:
    """Return the passwords and tokens that the settings themselves contain."""
    urls = (settings.database_url, settings.broker_url, settings.alerts.webhook_url, settings.telemetry.otlp_endpoint)
    return frozenset(secret for url in urls for secret in secrets_of(url))


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _masked(inner, content) for inner, content in value.items()}
    return without_password(value) if key in SECRET_KEYS else value


def _tables(tree: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    values = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    if path and values:
        yield from ("", f"[{'.'.join(path)}]")
    for key, value in values.items():
        yield f"{key} = {_toml(without_password(value) if key in SECRET_KEYS else value)}"
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _tables(value, (*path, key))


def _toml(value: Any) -> str:
    """Return a JSON value as TOML, which writes strings, numbers, booleans and lists in the same way."""
    return json.dumps(value, ensure_ascii=False)
