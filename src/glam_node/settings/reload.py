"""Changes of settings while a node runs: the differences, and the processes that must be restarted for each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from glam_node.settings.digest import RULES
from glam_node.settings.keys import KeyPath
from glam_node.settings.load import SettingsError, validated
from glam_node.settings.problems import Problem, problem_from
from glam_node.settings.reference import masked
from glam_node.settings.schema import Settings

NODE = "glam-node serve, and every glam-node worker"
RECEIVER = "glam-node serve (receiver)"
CONSOLE = "glam-node serve (console)"
HL7 = "glam-node serve (hl7)"
MODEL = "glam-node serve (worker, dispatcher), and every glam-node worker"

PROCESSES = ("dispatcher", "sender", "worker", "console", "hl7", "receiver")
"""The processes that use settings, in the order in which a reload restarts them."""

_DISPATCHER = ("dispatcher",)
_JUDGEMENT = ("dispatcher", "worker", "console")
_PEERS = ("dispatcher", "sender", "console", "receiver")

EFFECTS: Mapping[KeyPath, tuple[str, ...] | str] = {
    ("node",): (*_PEERS[:-1], "hl7", "receiver"),
    ("node", "host"): RECEIVER,
    ("node", "port"): RECEIVER,
    ("node", "receiver_processes"): RECEIVER,
    ("tls",): RECEIVER,
    ("peers",): _PEERS,
    ("destinations",): PROCESSES,
    ("sources",): ("dispatcher", "console", "hl7"),
    ("hl7",): ("dispatcher", "console", "hl7"),
    ("hl7", "host"): HL7,
    ("hl7", "port"): HL7,
    ("assembly",): _DISPATCHER,
    ("eligibility",): _JUDGEMENT,
    ("rules",): _JUDGEMENT,
    ("storage",): ("dispatcher", "worker", "console", "hl7", "receiver"),
    ("storage", "root"): NODE,
    ("retention",): _DISPATCHER,
    ("inference",): MODEL,
    ("delivery",): ("dispatcher", "sender", "receiver"),
    ("results",): _JUDGEMENT,
    ("audit",): _DISPATCHER,
    ("console",): CONSOLE,
    ("alerts",): _DISPATCHER,
    ("canary",): ("dispatcher", "console"),
    ("telemetry",): _DISPATCHER,
    ("log",): PROCESSES,
    ("database_url",): NODE,
    ("broker_url",): NODE,
}
"""The effect of a change, by the start of its key: the processes that a reload restarts, or, in words, those that
 a person must restart before the change takes effect. The dispatcher, which records the settings, restarts always."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference from the settings in force: a key, a whole peer or destination, or the order of rules."""

    key: str
    before: Any
    """The value in force as a JSON value, without passwords; None: there is no value."""
    after: Any
    """The new value as a JSON value, without passwords; None: there is no value."""
    processes: tuple[str, ...]
    """The processes that a reload restarts, so that the change takes effect."""
    restart: str
    """The processes that a person must restart before the change takes effect; empty: it takes effect at once."""

    @property
    def is_order(self) -> bool:
        """Whether this is the change of the order of rules; then `before` and `after` are lists of the rules' names."""
        return self.key == RULES

    def __str__(self) -> str:
        if self.is_order:
            order = f"{', '.join(self.before)} -> {', '.join(self.after)}"
            what = f"their order is {order}; the first rule that holds decides"
        elif isinstance(self.after, dict):
            what = "is new"
        elif isinstance(self.before, dict):
            what = "is removed"
        else:
            what = f"{self.before!r} -> {self.after!r}" if self.before != self.after else "has another password"
        effect = f"after a restart of {self.restart}" if self.restart else "at once"
        return f"{self.key}: {what}; takes effect {effect}"


def changes(in_force: Settings, new: Settings) -> tuple[Change, ...]:
    """Return every difference between two settings, in the order of the schema, and the order of rules last."""
    old_shown, new_shown = masked(in_force), masked(new)
    paths = _differences(in_force.model_dump(mode="json"), new.model_dump(mode="json"), ())
    found = [_change(path, ".".join(path), _at(old_shown, path), _at(new_shown, path)) for path in paths]
    before, after = list(in_force.rules), list(new.rules)
    if after != [name for name in before if name in new.rules] + [name for name in after if name not in in_force.rules]:
        found.append(_change((RULES,), RULES, before, after))
    return tuple(found)


def concerned(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the processes that a reload restarts for these changes, in that order."""
    processes = {name for change in found for name in change.processes}
    return tuple(name for name in PROCESSES if name in processes)


def reloaded(in_force: Settings, new: Settings) -> Settings:
    """Return the settings of `new`, except that keys that need a restart keep their value in force.

    Raises:
        SettingsError: The new values are invalid together with the old values of keys that need a restart.
    """
    old_tree, tree = in_force.model_dump(mode="json"), new.model_dump(mode="json")
    for path, effect in EFFECTS.items():
        if isinstance(effect, str):
            _put(tree, path, _at(old_tree, path))
    try:
        return validated(tree)
    except ValidationError as error:
        problems = (problem_from(mistake, {}) for mistake in error.errors())
        raise SettingsError(
            tuple(Problem(one.key, f"{one.message}; that needs a restart of {NODE}") for one in problems)
        ) from None


def restart_of(path: KeyPath) -> str:
    """Return the processes that a person must restart before a change at `path` takes effect; empty: none."""
    effect = _effect(path)
    return effect if isinstance(effect, str) else ""


def _effect(path: KeyPath) -> tuple[str, ...] | str:
    known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in EFFECTS), None)
    return NODE if known is None else EFFECTS[known]


def _change(path: KeyPath, key: str, before: Any, after: Any) -> Change:
    effect = _effect(path)
    processes, restart = ((), effect) if isinstance(effect, str) else (effect, "")
    return Change(key, before, after, processes, restart)


def _differences(old: Any, new: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _differences(old.get(name), new.get(name), (*path, name))
    elif old != new:
        yield path


def _at(tree: Any, path: KeyPath) -> Any:
    for segment in path:
        tree = tree.get(segment) if isinstance(tree, dict) else None
    return tree


def _put(tree: dict[str, Any], path: KeyPath, value: Any) -> None:
    for segment in path[:-1]:
        tree = tree[segment]
    tree[path[-1]] = value
