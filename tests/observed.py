"""Check of feature marks: a test that claims features must have started a process with settings that select them.

Every `glam-node` that a test or its fixtures start is recorded, with its settings file and its environment.
"""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.features import MARK, commands, given, matching, old_spellings

WITHOUT_EFFECT = {("settings", "check"), ("settings", "show"), ("settings", "explain"), ("settings", "diff")}
"""Commands that read settings but do not apply them."""

_watching: list[set[str]] = [set()]
"""Features seen by the tests and fixtures that are running, the innermost last."""
_by_fixture: dict[int, set[str]] = {}


def see(arguments: Sequence[str], environ: Mapping[str, str], directory: Path) -> None:
    """Record the command that was started, and the features that its settings select."""
    words = tuple(word for word in _without_settings(arguments) if not word.startswith("-"))
    known = {**old_spellings(), **{command: command for command in commands()}}
    command = next((known[words[:end]] for end in (3, 2, 1) if words[:end] in known), None)
    if command is None:
        return
    _watching[-1].add(f"glam-node {' '.join(command)}")
    path = _settings_path(arguments, environ)
    if command not in WITHOUT_EFFECT:
        _watching[-1].update(given(_read(directory / path) if path else {}, environ))


def _without_settings(arguments: Sequence[str]) -> list[str]:
    return [word for before, word in zip(["", *arguments], arguments, strict=False) if before != "--settings"]


def _settings_path(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    if "--settings" in arguments:
        return arguments[arguments.index("--settings") + 1]
    return environ.get("GLAM_NODE_SETTINGS", "")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _hear(event: str, facts: tuple[Any, ...]) -> None:
    if event != "subprocess.Popen":
        return
    _, arguments, directory, environ = facts
    seen = _arguments([os.fsdecode(word) for word in arguments])
    if seen is not None:
        see(seen, os.environ if environ is None else environ, Path(directory or Path.cwd()))


def _arguments(words: list[str]) -> list[str] | None:
    """Return the arguments after the program if it is glam-node, else None."""
    if words and Path(words[0]).name == "glam-node":
        return words[1:]
    return words[3:] if words[1:3] == ["-m", "glam_node"] else None


sys.addaudithook(_hear)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """Keep the features that a fixture uses, for all tests with that fixture."""
    _watching.append(set())
    try:
        return (yield)
    finally:
        _by_fixture[id(fixturedef)] = _watching.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that claims features with which no process was started."""
    _watching.append(set())
    try:
        yield
    finally:
        seen = _watching.pop()
    claimed = matching(tuple(word for mark in item.iter_markers(MARK) for word in mark.args))
    definitions = [one for all_of in item._fixtureinfo.name2fixturedefs.values() for one in all_of]  # type: ignore[attr-defined]
    seen.update(*(_by_fixture.get(id(one), set()) for one in definitions))
    assert claimed <= seen, f"no process was started with {sorted(claimed - seen)}"
