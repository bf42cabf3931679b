"""All keys of the settings, read from the schema: path, allowed values, default and description of each."""

from dataclasses import dataclass
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

    @property
    def dotted(self) -> str:
        """The path with points, as in node.port."""
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

    @property
    def dotted(self) -> str:
        """The path with points, as in peers.NAME."""
        return ".".join(self.path)


@cache
def sections() -> tuple[DocumentedSection, ...]:
    """Return all sections, first the keys outside of tables, as TOML requires, then in the order of the schema."""
    schema = Settings.model_json_schema()
    return tuple(_sections(schema, (), schema["$defs"]))


@cache
def keys() -> dict[KeyPath, Key]:
    """Return all keys by path."""
    return {key.path: key for section in sections() for key in section.keys}


def generic(path: KeyPath) -> KeyPath:
    """Return the path with the names that a site chose replaced by NAME."""
    known = {section.path for section in sections()} | set(keys())
    result: KeyPath = ()
    for segment in path:
        named = (*result, segment)
        holds = any(other[: len(named)] == named for other in known)
        result = named if holds else (*result, NAME if (*result, NAME) in known else segment)
    return result


def names_inside(path: KeyPath) -> list[str]:
    """Return the names of the keys and sections directly inside the section at `path`."""
    depth = len(path)
    names = [other[depth] for other in _all_paths() if other[:depth] == path and len(other) > depth]
    return list(dict.fromkeys(names))


def _all_paths() -> list[KeyPath]:
    return [*keys(), *(section.path for section in sections())]


def _sections(schema: dict[str, Any], path: KeyPath, definitions: dict[str, Any]) -> list[DocumentedSection]:
    required = schema.get("required", ())
    own: list[Key] = []
    inner: list[DocumentedSection] = []
    for name, given in schema["properties"].items():
        prop = _resolved(given, definitions)
        if "properties" in prop:
            inner += _sections(prop, (*path, name), definitions)
        elif isinstance(prop.get("additionalProperties"), dict):
            entry = _resolved(prop["additionalProperties"], definitions)
            for chosen in prop.get("propertyNames", {}).get("enum", [NAME]):
                inner += _sections(entry, (*path, name, chosen), definitions)
        else:
            own.append(_key(prop, (*path, name), name in required))
    description = schema["description"].partition("]: ")[2] or schema["description"]
    return [DocumentedSection(path, description, tuple(own)), *inner]


def _resolved(prop: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = prop.get("$ref", "").rpartition("/")[2]
    return definitions[reference] if reference else prop


def _key(prop: dict[str, Any], path: KeyPath, required: bool) -> Key:
    return Key(path, _allowed(prop), required, prop.get("default"), " ".join(prop["description"].split()))


def _allowed(prop: dict[str, Any]) -> str:
    if "anyOf" in prop:
        return " or ".join(_allowed(choice) for choice in prop["anyOf"] if choice.get("type") != "null")
    if "enum" in prop:
        return " or ".join(f'"{value}"' for value in prop["enum"])
    if prop["type"] == "array":
        return f"a list, each {_allowed(prop['items'])}"
    words = str(prop.get("allowed") or _TYPES[prop["type"]])
    return words + _bounds(prop)


_TYPES = {"string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false"}


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
