"""The advertised features: every setting, its choices and every command; and the tests that use them.

A test says `@pytest.mark.features("destinations.NAME.kind = stow-rs", "results.*")`. It fails where no process that it
started was given these settings (tests/observed.py), and tests/rules fails where a feature has no such test.
`make generate` writes docs/features.md again.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from inspect import unwrap
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from typer.main import get_command

from glam_node.node.cli.main import app
from glam_node.settings.destinations import DESTINATIONS_BY_KIND, CStoreSettings
from glam_node.settings.environment import apply_variables
from glam_node.settings.keys import Key, generic, keys

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "features.md"
MARK = "features"

SCHEMES = {"database_url": ("sqlite", "postgresql+psycopg"), "broker_url": ("redis", "rediss", "redis+socket")}
CHOICES = re.compile(r'(a list, each )?"[\w-]+"( or "[\w-]+")*')
HEAD = """\
# Features and their tests

Each row is a setting, one of its choices, or a command. The tests beside it start `glam-node` with a settings file that
gives the setting a value other than its default, and watch the effect at a real peer. This page is generated from the
tests; each of them fails where no process that it started was given the setting.
"""


@cache
def features() -> tuple[str, ...]:
    """Return all features in the order of the schema, then the commands."""
    found = [feature for key in keys().values() for feature in _features_of(key)]
    return (*found, *(f"glam-node {' '.join(words)}" for words in commands()))


def _features_of(key: Key) -> Iterator[str]:
    yield key.dotted
    for choice in (*choices(key), *SCHEMES.get(key.dotted, ())):
        yield f"{key.dotted} = {choice}"
    if key.dotted == "destinations.NAME.kind":
        yield from (f"{key.dotted} = {kind}, {way}" for kind in DESTINATIONS_BY_KIND for way in _ways(kind))


def _ways(kind: str) -> Iterator[str]:
    """Yield the ways to connect to a destination of this kind."""
    yield "plain"
    yield from ("TLS", "mutual TLS") if "tls" in DESTINATIONS_BY_KIND[kind].model_fields else ()
    yield from ("authorization",) if "authorization" in DESTINATIONS_BY_KIND[kind].model_fields else ()


def choices(key: Key) -> tuple[str, ...]:
    """Return the allowed words of a setting, if they are listed."""
    if not CHOICES.fullmatch(key.allowed):
        return ()
    return tuple(word for word in re.findall(r'"([\w-]+)"', key.allowed) if _is_allowed(key, word))


def _is_allowed(key: Key, word: str) -> bool:
    if key.path[-2:-1] != ("fallbacks",):
        return True
    kind = key.path[-1]
    try:
        CStoreSettings.model_validate({"results": [kind], "fallbacks": {kind: word}})
    except ValidationError:
        return False
    return True


@cache
def commands() -> tuple[tuple[str, ...], ...]:
    """Return the words of every command, such as ("settings", "reload"), without old spellings."""
    return tuple(words for words, command in _commands(get_command(app), ()) if not command.hidden)


@cache
def old_spellings() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the words of every command by its old spelling, such as ("study", "list") by ("studies",)."""
    found = dict(_commands(get_command(app), ()))
    by_function = {unwrap(command.callback): words for words, command in found.items() if not command.hidden}
    hidden = {words: by_function[unwrap(command.callback)] for words, command in found.items() if command.hidden}
    return {**hidden, ("study",): ("study", "show")}


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _commands(inner, (*words, name))


def given(tree: dict[str, Any], environ: Mapping[str, str]) -> set[str]:
    """Return the features that a settings file and environment variables select."""
    apply_variables(tree, environ)
    found = {feature for path, value in _leaves(tree, ()) for feature in _selected(path, value)}
    for destination in tree.get("destinations", {}).values():
        kind = destination.get("kind", "c-store")
        found.update(f"destinations.NAME.kind = {kind}, {way}" for way in _connections(destination))
    return found & set(features())


def _connections(destination: Mapping[str, Any]) -> Iterator[str]:
    if destination.get("authorization"):
        yield "authorization"
    if destination.get("certificate"):
        yield "mutual TLS"
    else:
        yield "TLS" if destination.get("tls") else "plain"


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _selected(path: tuple[str, ...], value: Any) -> Iterator[str]:
    key = keys().get(generic(path))
    if key is None:
        return
    if value != key.default:
        yield key.dotted
    for one in value if isinstance(value, list) else [value]:
        yield f"{key.dotted} = {str(one).partition(':')[0] if key.dotted in SCHEMES else one}"


def matching(patterns: tuple[str, ...]) -> set[str]:
    """Return the features that the patterns of a mark name, each at least one."""
    found = {pattern: {one for one in features() if fnmatchcase(one, pattern)} for pattern in patterns}
    assert all(found.values()), f"no such feature: {[pattern for pattern in found if not found[pattern]]}"
    return set().union(*found.values())


def marked_tests() -> dict[str, list[str]]:
    """Return every feature with the tests that are marked with it, as FILE::NAME below tests/."""
    table: dict[str, list[str]] = {feature: [] for feature in features()}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if f"mark.{MARK}(" in (text := path.read_text(encoding="utf-8")):
            for name, patterns in _marked(ast.parse(text)):
                for feature in sorted(matching(patterns)):
                    table[feature].append(f"{path.relative_to(ROOT / 'tests')}::{name}")
    return table


def _marked(module: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for test in module.body:
        if isinstance(test, ast.FunctionDef):
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == f"pytest.mark.{MARK}":
                    yield test.name, tuple(word for argument in mark.args for word in _words(argument))


def _words(argument: ast.expr) -> tuple[str, ...]:
    """Return the literal texts of one argument, which may be a starred tuple."""
    if isinstance(argument, ast.Starred):
        return tuple(ast.literal_eval(argument.value))
    return (str(ast.literal_eval(argument)),)


def page() -> str:
    """Return docs/features.md."""
    table = marked_tests()
    lines = [HEAD]
    for title in dict.fromkeys(map(_title, table)):
        lines += [f"## {title}", "", "| feature | tests |", "|---|---|"]
        lines += [
            f"| `{feature}` | {'<br>'.join(f'`{test}`' for test in tests)} |"
            for feature, tests in table.items()
            if _title(feature) == title
        ]
        lines.append("")
    return "\n".join(lines)


def _title(feature: str) -> str:
    if feature.startswith("glam-node "):
        return "Commands"
    first, dot, _ = feature.partition(" = ")[0].partition(".")
    return f"`[{first}]`" if dot else "Database and broker"
