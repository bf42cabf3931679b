"""Settings from environment variables: GLAM_NODE__SECTION__KEY, or ..._KEY_FILE for a value that is in a file."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glam_node.settings.keys import ENVIRONMENT_PREFIX

SETTINGS_VARIABLE = "GLAM_NODE_SETTINGS"
"""The variable that names the settings file."""

Location = tuple[str | int, ...]
"""A place in the tree of settings; a number is an index in a list."""


IN_A_FILE = "_FILE"
"""The ending of variables that name a file with the value. No key of a setting has this ending."""


class UnreadableVariable(Exception):
    """The file that a variable names cannot be read; the message gives the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable and the place in the tree of settings that it fills."""

    name: str
    text: str
    path: tuple[str, ...]

    def take_as_text(self, tree: dict[str, Any]) -> None:
        """Write the value to `tree` as a string, even if it looks like a number."""
        parent = tree
        for segment in self.path[:-1]:
            parent = parent[segment]
        parent[self.path[-1]] = self.text


def apply_variables(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[Location, Variable]:
    """Write every variable into `tree`, where it replaces a value from the settings file.

    If both a variable and its ..._FILE are set, the variable without _FILE is used.

    Returns:
        The variables by the place in the tree that each filled.

    Raises:
        UnreadableVariable: The file that a variable names cannot be read.
    """
    variables: dict[Location, Variable] = {}
    for name, key, text in _variables(environ):
        path = _fill(tree, key[len(ENVIRONMENT_PREFIX) :].lower().split("__"), _typed(text))
        variables[path] = Variable(name, text, path)
    return variables


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, name without _FILE, and value of each variable of glam-node."""
    present = {name.upper(): name for name in sorted(environ) if name.upper().startswith(ENVIRONMENT_PREFIX)}
    for key, name in present.items():
        plain = key.removesuffix(IN_A_FILE)
        if plain == key:
            yield name, key, environ[name]
        elif plain not in present:
            yield name, plain, _file_text(name, environ[name])


def _file_text(name: str, path: str) -> str:
    """Return the text of the file at `path` without the line break that editors put at its end."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise UnreadableVariable(name, f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableVariable(name, f"{path} is not UTF-8") from error


def _fill(tree: dict[str, Any], segments: list[str], value: Any) -> tuple[str, ...]:
    """Write a value to `tree` and return its place; names of sections match in any case (peers.PACS).

    A value in the place of a section is not replaced, so that the schema reports it as a mistake.
    """
    parent: Any = tree
    path: list[str] = []
    for segment in segments[:-1]:
        path.append(_existing_key(parent, segment))
        parent = parent.setdefault(path[-1], {})
        if not isinstance(parent, dict):
            return tuple(segments)
    path.append(_existing_key(parent, segments[-1]))
    parent[path[-1]] = value
    return tuple(path)


def _existing_key(parent: Mapping[str, Any], segment: str) -> str:
    return next((key for key in parent if key.lower() == segment), segment)


def _typed(text: str) -> Any:
    """Return what TOML reads from the text (number, boolean, list, table, quoted string), or the text itself."""
    try:
        table = tomllib.loads(f"value = {text}")
    except ValueError:  # not only TOMLDecodeError: Python refuses to read numbers of more than 4300 digits
        return text
    value = table.pop("value")
    return value if not table and isinstance(value, str | bool | int | float | list | dict) else text
