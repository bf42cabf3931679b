"""The settings in force, which a supervisor passes to its processes, and their reload from the settings file."""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.observe import logs
from glam_node.node.run.process import child_environment
from glam_node.node.run.process_lifecycle import RELOAD_SIGNAL
from glam_node.node.run.supervisor import Child
from glam_node.node.storage.files import write_durably
from glam_node.settings.environment import SETTINGS_VARIABLE
from glam_node.settings.keys import ENVIRONMENT_PREFIX
from glam_node.settings.load import SettingsError, load_settings, validated
from glam_node.settings.problems import Problem
from glam_node.settings.reference import masked, secrets_in
from glam_node.settings.reload import Change, changes, reloaded
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

IN_FORCE = "in-force.json"
"""The file with the settings in force, without passwords. Processes start with this file, not with the edited one."""
LAST_RELOAD = "reload.json"
"""The file with the outcome of the last reload."""
ANSWER_S = 20.0
"""Seconds that processes have to answer whether they accept new settings."""


class LiveSettings:
    """The settings in force, as a file in `directory` for the processes; passwords are passed by the environment."""

    def __init__(self, settings: Settings, path: Path | None, directory: Path, process: str) -> None:
        self.settings = settings
        self._process = process
        self._path = path
        self._directory = directory
        self._reloads = 0
        self._unanswered: tuple[tuple[Change, ...], float] | None = None
        (directory / LAST_RELOAD).unlink(missing_ok=True)
        try:
            self._write()
        except OSError as error:  # start even if the disk is full: only a running node frees space
            log.warning("settings_not_kept", failure=f"{error.filename}: {error.strerror}")

    def environment(self) -> dict[str, str]:
        """Return the environment in which a process finds the settings in force."""
        if not self._in_force.exists():
            return child_environment(self._path)
        return {**os.environ, **_passwords(self.settings), SETTINGS_VARIABLE: str(self._in_force)}

    def reload(self) -> bool:
        """Read the settings file again and apply the changes that need no restart.

        The outcome is logged. A refused file is recorded in `LAST_RELOAD` and the audit trail at once, an accepted one
        in `LAST_RELOAD` when the processes have answered (`record_answers`).

        Returns:
            Whether the file was accepted; if not, the settings in force stay as they were.
        """
        try:
            new = load_settings(self._path, os.environ)
            merged = reloaded(self.settings, new)
            found = changes(self.settings, new)
            self.settings = merged
            self._write()
        except SettingsError as error:
            return self._refused(error.problems)
        except OSError as error:
            return self._refused((Problem("", f"{error.filename}: {error.strerror}"),))
        for change in found:
            log.info("setting_changed", key=change.key, in_force=not change.restart, restart=change.restart)
        log.info("settings_reloaded", changed=len(found), waiting=sum(bool(change.restart) for change in found))
        self._unanswered = found, time.monotonic() + ANSWER_S
        return True

    def record_answers(self, children: Iterable[Child]) -> None:
        """Record the answers to a reload in `LAST_RELOAD`, once all processes have answered or `ANSWER_S` passed."""
        if self._unanswered is None:
            return
        changes, deadline = self._unanswered
        refused = {child.name: child.refused for child in children if child.has_settings}
        if None in refused.values() and time.monotonic() < deadline:
            return
        self._unanswered = None
        said = {name: f"no answer within {ANSWER_S:.0f} s" if one is None else one for name, one in refused.items()}
        for name, reason in said.items():
            if reason:
                log.error("settings_refused_by_process", process_name=name, reason=reason)
        self._record([], changes, said)

    def _refused(self, problems: tuple[Problem, ...]) -> bool:
        for problem in problems:
            log.error(
                "settings_not_reloaded",
                problem=str(problem),
                remedy="Correct the file; until then, the old settings stay.",
            )
        self._record([{"key": one.key, "message": one.message} for one in problems], ())
        # The supervisor must not wait for the database.
        reason = "; ".join(map(str, problems))
        threading.Thread(target=_record_refusal, args=(self.settings, self._process, reason), daemon=True).start()
        return False

    def end(self) -> None:
        """Remove the file with the settings in force."""
        self._in_force.unlink(missing_ok=True)

    @property
    def _in_force(self) -> Path:
        return self._directory.resolve() / IN_FORCE

    def _write(self) -> None:
        write_durably(self._in_force, json.dumps(masked(self.settings)).encode())

    def _record(
        self, problems: list[dict[str, str]], found: tuple[Change, ...], processes: Mapping[str, str] | None = None
    ) -> None:
        self._reloads += 1
        outcome = {
            "reload": self._reloads,
            "process_id": os.getpid(),
            "at": datetime.now(UTC).isoformat(),
            "problems": problems,
            "changes": [change_as_json(change) for change in found],
            "processes": dict(processes or {}),
        }
        write_durably(self._directory / LAST_RELOAD, json.dumps(outcome).encode())


def _record_refusal(settings: Settings, process: str, reason: str) -> None:
    # Imported only when there is something to record, to keep the supervisor small.
    from glam_node.node.bootstrap.base_node import brief_sessions
    from glam_node.node.workflow.record.events import record_refused_reload

    try:
        with brief_sessions(settings) as sessions:
            record_refused_reload(sessions, process, reason, datetime.now(UTC))
    except NodeError as error:
        log.warning("refusal_not_recorded", failure=str(error))


def reload_when(asked: threading.Event, live: LiveSettings, children: Iterable[Child]) -> None:
    """Reload the settings if `asked` is set, signal the processes if the file was accepted, and record answers."""
    processes = list(children)
    if asked.is_set():
        asked.clear()
        if live.reload():
            logs.configure(live.settings.log.level, live.settings.log.format, secrets_in(live.settings))
            for child in processes:
                child.ask_to_reload()
    live.record_answers(processes)


def change_as_json(change: Change) -> dict[str, Any]:
    """Return the change as a JSON object."""
    return {
        "key": change.key,
        "before": change.before,
        "after": change.after,
        "in_force": not change.restart,
        "restart": change.restart,
        "text": str(change),
    }


def ask_to_reload(process_id: int) -> None:
    """Ask a supervisor to read its settings file again.

    Raises:
        PermanentError: There is no such process, or this user may not send it signals.
    """
    try:
        os.kill(process_id, RELOAD_SIGNAL)
    except OSError as error:
        raise PermanentError(
            f"Process {process_id}, which serves, cannot be asked to reload: {error.strerror}. Run this command as the "
            "user of that process."
        ) from error


def settings_in_force(configured: Settings) -> Settings:
    """Return the settings in force of the node that serves the storage root of `configured`.

    Passwords, which are not stored, are taken from `configured`.

    Raises:
        PermanentError: The settings in force cannot be read.
    """
    path = configured.storage.root / IN_FORCE
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"The settings in force cannot be read: {error}. Run this command as the user that runs the node."
        ) from error
    return validated(_unmasked(tree, masked(configured), configured.model_dump(mode="json")))


def _unmasked(tree: dict[str, Any], shown: Mapping[str, Any], real: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _unmasked(value, shown.get(name) or {}, real.get(name) or {})
        if isinstance(value, dict)
        else real[name]
        if name in shown and shown[name] == value
        else value
        for name, value in tree.items()
    }


def last_reload(root: Path) -> dict[str, Any]:
    """Return the outcome of the last reload of the node with this storage root; empty if there was none."""
    try:
        outcome: dict[str, Any] = json.loads((root / LAST_RELOAD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return outcome


def _passwords(settings: Settings) -> dict[str, str]:
    """Return environment variables for the settings whose values are masked in the file."""
    return {
        ENVIRONMENT_PREFIX + "__".join(path).upper(): json.dumps(value, ensure_ascii=False)
        for path, value in _hidden(settings.model_dump(mode="json"), masked(settings), ())
    }


def _hidden(tree: Mapping[str, Any], shown: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _hidden(value, shown[name], (*path, name))
        elif value != shown[name]:
            yield (*path, name), value
