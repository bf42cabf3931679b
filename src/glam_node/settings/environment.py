"""Settings from environment variables: GLAM_NODE__SECTION__KEY, in any case of letters."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glam_node.settings.keys import ENVIRONMENT_PREFIX

Location = tuple[str | int, ...]
"""A place in the tree of settings; a number counts in a list."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable and the place in the tree of settings that it fills."""

    name: str
    text: str
    path: tuple[str, ...]

    def take_as_text(self, tree: dict[str, Any]) -> None:
        """The setting is a text, even if it looks like a number."""
        parent = tree
        for segment in self.path[:-1]:
            parent = parent[segment]
        parent[self.path[-1]] = self.text


def lay_over(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[Location, Variable]:
    """Write every variable into `tree`, over what a file says, and tell which one filled which place."""
    variables: dict[Location, Variable] = {}
    for name, text in sorted(environ.items()):
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            path = _fill(tree, name[len(ENVIRONMENT_PREFIX) :].lower().split("__"), _typed(text))
            variables[path] = Variable(name, text, path)
    return variables


def _fill(tree: dict[str, Any], segments: list[str], value: Any) -> tuple[str, ...]:
    """Where the value went; a section that the file spells otherwise (peers.PACS) is found.

    What stands in the place of a section and is none stays, for the schema to find.
    """
    parent: Any = tree
    path: list[str] = []
    for segment in segments[:-1]:
        path.append(_spelled(parent, segment))
        parent = parent.setdefault(path[-1], {})
        if not isinstance(parent, dict):
            return tuple(segments)
    path.append(_spelled(parent, segments[-1]))
    parent[path[-1]] = value
    return tuple(path)


def _spelled(parent: Mapping[str, Any], segment: str) -> str:
    return next((key for key in parent if key.lower() == segment), segment)


def _typed(text: str) -> Any:
    """Numbers, booleans, lists, tables and quoted texts as TOML reads them; all else is a text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table.pop("value")
    return value if not table and isinstance(value, str | bool | int | float | list | dict) else text
