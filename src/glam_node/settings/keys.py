"""All keys of the settings, read from the schema: path, allowed values, default and description of each."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from glam_node.settings.schema import Settings

NAME = "NAME"
"""The placeholder for a name that the site chooses, as in [peers.NAME]."""
ENVIRONMENT_PREFIX = "GLAM_NODE__"

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting."""

    path: KeyPath
    allowed: str
    """The allowed values, in words."""
    required: bool
    default: Any
    """The default as a JSON value; None: unset."""
    description: str
    kinds: tuple[str, ...] = ()
    """The kinds of destination or source that have the key; empty: it is not the key of one."""

    @property
    def dotted(self) -> str:
        """The path with dots, as in node.port."""
        return ".".join(self.path)

    @property
    def environment_variable(self) -> str:
        """The name of the environment variable that sets the key."""
        return ENVIRONMENT_PREFIX + "__".join(segment if segment == NAME else segment.upper() for segment in self.path)


@dataclass(frozen=True, slots=True)
class DocumentedSection:
    """A table of the settings file and its keys; the first one has no name and contains the keys outside of tables."""

    path: KeyPath
    description: str
    keys: tuple[Key, ...]
    kind: str = ""
    """The kind of destination or source that has the keys; empty: all kinds have them, or the section has no kind."""

    @property
    def dotted(self) -> str:
        """The path with dots, as in peers.NAME."""
        return ".".join(self.path)


@cache
def sections() -> tuple[DocumentedSection, ...]:
    """Return all sections, first the keys outside of tables, as TOML requires, then in the order of the schema."""
    schema = Settings.model_json_schema()
    return tuple(_sections(schema, (), schema["$defs"]))


@cache
def keys() -> dict[KeyPath, Key]:
    """Return all keys by path; a key of several kinds of destination or source is listed once, with all its kinds."""
    found: dict[KeyPath, Key] = {}
    for key in (key for section in sections() for key in section.keys):
        known = found.get(key.path)
        found[key.path] = key if known is None else _merged(known, key)
    return found


def _merged(one: Key, other: Key) -> Key:
    allowed, meant = (one.allowed, other.allowed), (one.description, other.description)
    return replace(
        one,
        allowed=" or ".join(dict.fromkeys(allowed)),
        description=" ".join(dict.fromkeys(meant)),
        kinds=(*one.kinds, *other.kinds),
    )


def generic(path: KeyPath) -> KeyPath:
    """Return the path with the names that a site chose replaced by NAME."""
    known = {section.path for section in sections()} | set(keys())
    result: KeyPath = ()
    for segment in path:
        named = (*result, segment)
        holds = any(other[: len(named)] == named for other in known)
        result = named if holds else (*result, NAME if (*result, NAME) in known else segment)
    return result


def names_inside(path: KeyPath, kind: str = "") -> list[str]:
    """Return the names of the keys and sections directly inside the section at `path`, or those for one `kind`."""
    depth = len(path)
    paths = [key.path for key in keys().values() if kind in key.kinds or not (kind and key.kinds)]
    paths += [section.path for section in sections()]
    return list(dict.fromkeys(other[depth] for other in paths if other[:depth] == path and len(other) > depth))


def _sections(schema: dict[str, Any], path: KeyPath, definitions: dict[str, Any]) -> list[DocumentedSection]:
    required, kind = schema.get("required", ()), _kind(schema)
    own: list[Key] = []
    inner: list[DocumentedSection] = []
    for name, given in schema["properties"].items():
        prop = _resolved(given, definitions)
        if "properties" in prop:
            inner += _sections(prop, (*path, name), definitions)
        elif isinstance(prop.get("additionalProperties"), dict):
            entry = prop["additionalProperties"]
            for chosen in prop.get("propertyNames", {}).get("enum", [NAME]):
                for one in entry.get("oneOf", [entry]):
                    found = _sections(_resolved(one, definitions), (*path, name, chosen), definitions)
                    inner += [section for section in found if section not in inner]
        else:
            own.append(_key(prop, (*path, name), name in required, (kind,) if kind else ()))
    description = schema["description"].partition("]: ")[2] or schema["description"]
    return [DocumentedSection(path, description, tuple(own), kind), *inner]


def _kind(schema: dict[str, Any]) -> str:
    """Return the only value of `kind` that the schema of a section allows; empty if there is no such key."""
    return str(schema["properties"].get("kind", {}).get("const", ""))


def _resolved(prop: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = prop.get("$ref", "").rpartition("/")[2]
    return definitions[reference] if reference else prop


def _key(prop: dict[str, Any], path: KeyPath, required: bool, kinds: tuple[str, ...]) -> Key:
    return Key(path, _allowed(prop), required, prop.get("default"), " ".join(prop["description"].split()), kinds)


def _allowed(prop: dict[str, Any]) -> str:
    if "anyOf" in prop:
        return " or ".join(_allowed(choice) for choice in prop["anyOf"] if choice.get("type") != "null")
    if "const" in prop:
        return f'"{prop["const"]}"'
    if "enum" in prop:
        return " or ".join(f'"{value}"' for value in prop["enum"])
    if prop["type"] == "array":
        return f"a list, each {_allowed(prop['items'])}"
    words = str(prop.get("allowed") or _TYPES[prop["type"]])
    return words + _bounds(prop)


_TYPES = {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false"}


def _bounds(prop: dict[str, Any]) -> str:
    low, above = prop.get("minimum", prop.get("minLength")), prop.get("exclusiveMinimum")
    high = prop.get("maximum", prop.get("maxLength"))
    unit = " characters" if prop["type"] == "string" else ""
    if above is not None:
        return f", more than {above:g}" + ("" if high is None else f" and at most {high}{unit}")
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low}{unit}"
    return f", at most {high}{unit}" if low is None else f", {low} to {high}{unit}"
