"""Mistakes in the settings, in plain words: the key, the value that was given, the allowed values, the nearest key."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glam_node.settings.destinations import DESTINATIONS_BY_KIND
from glam_node.settings.environment import SETTINGS_VARIABLE, Location, Variable
from glam_node.settings.keys import ENVIRONMENT_PREFIX, NAME, Key, generic, keys, names_inside, sections
from glam_node.settings.kinds import kind_tag
from glam_node.settings.sources import SOURCES_BY_KIND
from glam_node.settings.urls import SECRET_KEYS, without_password

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST_SHOWN = 60
_ONE_OF = {"destinations": "destination", "sources": "source"}
_NAME = "[key]"
"""The word that pydantic adds to the location of a mistake in a name."""
_KIND_TAGS = {kind: kind_tag(kind) for kind in (*DESTINATIONS_BY_KIND, *SOURCES_BY_KIND)}
_ADDED = (_NAME, *_KIND_TAGS.values())


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings."""

    key: str
    """The key, as in peers.pacs.hosts[0]; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message

    @property
    def explained_key(self) -> str:
        """The key as `glam-node settings explain` takes it; empty if the mistake is not about the value of a key."""
        key = re.sub(r"\[\d+\]", "", self.key)
        return key if generic(tuple(key.split("."))) in keys() else ""


def explanation(problems: Iterable[Problem]) -> str:
    """Return the sentence that names the command which explains the keys; empty if it explains none of them."""
    explained = dict.fromkeys(problem.explained_key for problem in problems if problem.explained_key)
    if not explained:
        return ""
    key = next(iter(explained)) if len(explained) == 1 else "KEY"
    return f"`glam-node settings explain {key}` shows the allowed values."


def problem_from(mistake: "ErrorDetails", variables: Mapping[Location, Variable]) -> Problem:
    """Return a mistake that pydantic found as a Problem in plain words.

    Args:
        mistake: The mistake.
        variables: The environment variables by the place that each filled; the message names the variable of the value.
    """
    location = location_of(mistake)
    names = tuple(str(segment) for segment in location if not isinstance(segment, int))
    inner = mistake.get("ctx", {}).get("key") if mistake["type"] == "contradiction" else None
    key = ".".join(part for part in (_dotted(location), inner) if part)
    message = _misspelt(location, variables) if mistake["type"] == "extra_forbidden" else ""
    return Problem(key, (message or _message(mistake, names)) + _origin(mistake, location, variables))


def location_of(mistake: "ErrorDetails") -> Location:
    """Return the place of a mistake in the tree of settings, without the words in brackets that pydantic adds to it."""
    location = tuple(segment for segment in mistake["loc"] if segment not in _ADDED)
    return (*location, "kind") if mistake["type"] == "union_tag_invalid" else location


def mistyped_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a Problem for each variable that looks like a setting but is none, such as GLAM_NODE_PORT."""
    known = _variables_of_keys()
    for name in sorted(environ):
        if name in _OTHER_VARIABLES or not _is_misspelt_setting(name.upper(), environ[name]):
            continue
        found = _meant(name, known) or _similar(name, known)
        meant = " or ".join(found[:3])
        said = f"did you mean {meant}?" if meant else f"a setting is {ENVIRONMENT_PREFIX}SECTION__KEY"
        yield Problem("", f"environment variable {name} is not a setting and is ignored; {said}")


def _misspelt(location: Location, variables: Mapping[Location, Variable]) -> str:
    """Return which variable was meant by the one that filled this unknown place; empty if that is not known."""
    name = next((variable.name for place, variable in variables.items() if place[: len(location)] == location), "")
    meant = _meant(name, _variables_of_keys()) if name else []
    return f"unknown; did you mean {' or '.join(meant[:3])}?" if meant else ""


def _variables_of_keys() -> dict[str, str]:
    """Return SETTINGS_VARIABLE and the variables of all settings without NAME by their significant part."""
    variables = [key.environment_variable for key in keys().values() if NAME not in key.path]
    return {_significant_part(one): one for one in (*variables, SETTINGS_VARIABLE)}


def _meant(name: str, known: Mapping[str, str]) -> list[str]:
    """Return the variable that has the same words in other places, or those that end with these words."""
    wanted = _significant_part(name.upper())
    same = known.get(wanted)
    return [same] if same else [one for words, one in known.items() if words.endswith(f"_{wanted}")]


def _similar(name: str, known: Mapping[str, str]) -> list[str]:
    return [known[one] for one in difflib.get_close_matches(_significant_part(name.upper()), known, 1)]


def _significant_part(variable: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"^GLAM_?NODE_+", "", variable))


def _is_misspelt_setting(name: str, value: str) -> bool:
    """Return whether a variable is a misspelt setting, and not one that Kubernetes sets."""
    looks_like_setting = re.match(r"GLAM_?NODE_", name) and not name.startswith(ENVIRONMENT_PREFIX)
    is_set_by_kubernetes = value.startswith(("tcp://", "udp://")) or re.search(r"_SERVICE_(HOST|PORT)|_PORT_\d+_", name)
    return bool(looks_like_setting and not is_set_by_kubernetes)


_OTHER_VARIABLES = (SETTINGS_VARIABLE, "GLAM_NODE_READY_FD", "GLAM_NODE_PARENT")


def _dotted(location: Location) -> str:
    words = [f"[{segment}]" if isinstance(segment, int) else f".{segment}" for segment in location]
    return "".join(words).removeprefix(".")


def _origin(mistake: "ErrorDetails", location: Location, variables: Mapping[Location, Variable]) -> str:
    """Return words that name the environment variable of the value or of a part of it; empty if there is none."""
    has_inside = isinstance(mistake["input"], dict)
    for place, variable in variables.items():
        if location[: len(place)] == place or (has_inside and place[: len(location)] == location):
            return f" (environment variable {variable.name})"
    return ""


def _message(mistake: "ErrorDetails", names: tuple[str, ...]) -> str:
    error, is_name = mistake["type"], _NAME in mistake["loc"]
    kind = next((kind for kind, tag in _KIND_TAGS.items() if tag in mistake["loc"]), "")
    if error == "contradiction":
        return mistake["msg"]
    if error == "extra_forbidden" or (is_name and generic(names) not in {section.path for section in sections()}):
        return _unknown(names, kind)
    if is_name:
        return f"{names[-1]!r} is not a name: letters, digits, - and _"
    key = keys().get(generic(names))
    if error == "missing" and key is not None:
        return f'is missing: kind = "{kind}" needs {key.allowed}' if kind else f"is missing: {key.allowed}"
    given = mistake["input"]["kind"] if error == "union_tag_invalid" else mistake["input"]
    return f"{_shown(given, names)} is not allowed: {_allowed(key, mistake, names)}"


def _allowed(key: Key | None, mistake: "ErrorDetails", names: tuple[str, ...]) -> str:
    if key is None:
        return f"a section, {_table(names)}" if generic(names) in _tables() else mistake["msg"]
    if mistake["loc"] and isinstance(mistake["loc"][-1], int):
        return key.allowed.removeprefix("a list, each ")
    return key.allowed


def _tables() -> set[tuple[str, ...]]:
    return {section.path[:end] for section in sections() for end in range(len(section.path) + 1)}


def _shown(value: Any, names: tuple[str, ...]) -> str:
    if names and names[-1] in SECRET_KEYS:
        return f'"{without_password(str(value))}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a section"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _unknown(names: tuple[str, ...], kind: str) -> str:
    parent, name = generic(names[:-1]), names[-1].lower()
    known = keys().get((*parent, names[-1]))
    if known is not None:
        kinds = " or ".join(f'"{one}"' for one in known.kinds)
        return f'is for kind = {kinds}, and this {_ONE_OF[names[0]]} has kind = "{kind}"'
    near = difflib.get_close_matches(name, names_inside(parent, kind), 1)
    if near:
        return f"unknown; did you mean {'.'.join((*names[:-1], near[0]))}?"
    elsewhere = [key.dotted for key in keys().values() if key.path[-1] == name]
    if elsewhere:
        return f"unknown; did you mean {' or '.join(elsewhere)}?"
    choices = [choice for choice in names_inside(parent, kind) if choice != NAME]
    return f"unknown; {_table(names[:-1])} may have {', '.join(choices)}"


def _table(names: tuple[str, ...]) -> str:
    return f"[{'.'.join(names)}]" if names else "the file"
