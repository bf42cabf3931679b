"""Changes of settings while a node runs: the differences, and the processes that must be restarted for each."""

from collections.abc import Iterator, Mapping
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
MODEL = "glam-node serve (worker, dispatcher), and every glam-node worker"
DISPATCHER = "glam-node serve (dispatcher)"
"""The process that uses URLs with passwords; a process gets these URLs only when it starts."""

RESTARTS: Mapping[KeyPath, str] = {
    ("node",): "",
    ("node", "host"): RECEIVER,
    ("node", "port"): RECEIVER,
    ("node", "receiver_processes"): RECEIVER,
    ("tls",): RECEIVER,
    ("peers",): "",
    ("destinations",): "",
    ("assembly",): "",
    ("eligibility",): "",
    ("rules",): "",
    ("storage",): "",
    ("storage", "root"): NODE,
    ("retention",): "",
    ("inference",): MODEL,
    ("delivery",): "",
    ("results",): "",
    ("audit",): "",
    ("console",): CONSOLE,
    ("alerts",): "",
    ("alerts", "webhook_url"): DISPATCHER,
    ("telemetry",): "",
    ("telemetry", "otlp_endpoint"): DISPATCHER,
    ("log",): "",
    ("database_url",): NODE,
    ("broker_url",): NODE,
}
"""The processes to restart before a key takes effect, by the start of its path; empty: it takes effect at once."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference from the settings in force: a key, a whole peer or destination, or the order of rules."""

    key: str
    before: Any
    """The value in force as a JSON value, without passwords; None: there is no value."""
    after: Any
    """The new value as a JSON value, without passwords; None: there is no value."""
    restart: str
    """The processes to restart before the change takes effect; empty: it takes effect at once."""

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
    found = [Change(".".join(path), _at(old_shown, path), _at(new_shown, path), restart_of(path)) for path in paths]
    before, after = list(in_force.rules), list(new.rules)
    if after != [name for name in before if name in new.rules] + [name for name in after if name not in in_force.rules]:
        found.append(Change(RULES, before, after, restart_of((RULES,))))
    return tuple(found)


def reloaded(in_force: Settings, new: Settings) -> Settings:
    """Return the settings of `new`, except that keys that need a restart keep their value in force.

    Raises:
        SettingsError: The new values are invalid together with the old values of keys that need a restart.
    """
    old_tree, tree = in_force.model_dump(mode="json"), new.model_dump(mode="json")
    for path, restart in RESTARTS.items():
        if restart:
            _put(tree, path, _at(old_tree, path))
    try:
        return validated(tree)
    except ValidationError as error:
        problems = (problem_from(mistake, {}) for mistake in error.errors())
        raise SettingsError(
            tuple(Problem(one.key, f"{one.message}; that needs a restart of {NODE}") for one in problems)
        ) from None


def restart_of(path: KeyPath) -> str:
    """Return the processes to restart before a change of the key at `path` takes effect; empty: none."""
    known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in RESTARTS), None)
    return NODE if known is None else RESTARTS[known]


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
