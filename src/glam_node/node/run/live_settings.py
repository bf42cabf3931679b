"""The settings in force, which a supervisor passes to its processes, and their reload from the settings file."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.observe import logs
from glam_node.node.run.forked import ForkedProcess
from glam_node.node.run.process import child_environment
from glam_node.node.run.process_lifecycle import RELOAD_SIGNAL
from glam_node.node.run.supervisor import Child
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.root import StorageRoot
from glam_node.settings.environment import SETTINGS_VARIABLE
from glam_node.settings.keys import ENVIRONMENT_PREFIX
from glam_node.settings.load import SettingsError, load_settings, validated
from glam_node.settings.problems import Problem
from glam_node.settings.reference import masked, secrets_in
from glam_node.settings.reload import Change, changes, concerned, reloaded
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

FORMER = "former.json"
"""The file with the settings before the reload in progress, so that they are there again even if the disk is full."""
IN_FORCE = "in-force.json"
"""The file with the settings in force, without passwords. Processes start with this file, not with the edited one."""
LAST_RELOAD = "reload.json"
"""The file with the outcome of the last reload."""
ANSWER_S = 30.0
"""Seconds that each process has to exit, and to start with new settings."""
WORK_S = 10.0
"""Seconds to wait for a worker, which ends its job before it starts with new settings, and then loads its model."""


class LiveSettings:
    """The settings in force, as a file in `directory` for the processes; passwords are passed by the environment."""

    def __init__(self, settings: Settings, path: Path | None, directory: Path, process: str) -> None:
        self.settings = settings
        self._process = process
        self._path = path
        self._directory = directory
        self._root = StorageRoot(directory)
        self._reloads = 0
        self._reload: Iterator[None] = iter(())
        self._records: list[ForkedProcess] = []
        """The processes that record refusals in the database."""
        (directory / LAST_RELOAD).unlink(missing_ok=True)
        try:
            self._write(IN_FORCE, masked(settings))
        except OSError as error:  # start even if the disk is full: only a running node frees space
            log.warning("settings_not_kept", failure=_failure(error))

    def environment(self) -> dict[str, str]:
        """Return the environment in which a process finds the settings in force."""
        # While the root is away, no process may start with the edited file and create a database in the mount point.
        if self._root.is_there() and not self._in_force.exists():
            return child_environment(self._path)
        return {**os.environ, **_passwords(self.settings), SETTINGS_VARIABLE: str(self._in_force)}

    def attend(self, take_reload: Callable[[], bool], children: Iterable[Child]) -> None:
        """Begin a reload if one is asked for and none is in progress, and continue the one in progress; never wait.

        The outcome is logged and recorded in `LAST_RELOAD`, and a refusal also in the audit trail.

        Args:
            take_reload: A function that returns whether a reload was asked for since the last call.
            children: The processes.
        """
        self._records = [one for one in self._records if one.poll() is None]
        in_progress = next(self._reload, self) is None
        if not in_progress and take_reload():
            self._reload = self._reloaded({child.name: child for child in children})

    def _reloaded(self, children: Mapping[str, Child]) -> Iterator[None]:
        """Read the settings file again, and restart the processes that its changes concern, one after the other.

        The keys that need a restart by a person keep their value. If a process refuses the settings, all of them keep
        the present settings.
        """
        before = self.settings
        try:
            new = load_settings(self._path, os.environ)
            merged = reloaded(before, new)
            self._write(FORMER, masked(before))
            self._write(IN_FORCE, masked(merged))
        except SettingsError as error:
            self._refuse(error.problems)
            return
        except (TransientError, OSError) as error:
            self._refuse((Problem("", _failure(error)),))
            return
        self._adopt(merged, children)
        found = changes(before, new)
        for change in found:
            log.info("setting_changed", key=change.key, in_force=not change.restart, restart=change.restart)
        said: dict[str, str] = {}
        for child in (children[name] for name in concerned(found) if name in children):
            child.take_settings(self.environment())
            yield from _until_answered(child)
            said[child.name] = _answer(child)
            if said[child.name]:
                log.error("settings_refused_by_process", process_name=child.name, reason=said[child.name])
                self._take_back(before, children, said)
                return
        log.info("settings_in_force", changed=[change.key for change in found if not change.restart])
        self._record([], found, said)

    def _adopt(self, settings: Settings, children: Mapping[str, Child]) -> None:
        self.settings = settings
        logs.configure(settings.log.level, settings.log.format, secrets_in(settings))
        for child in children.values():
            child.environment = self.environment()

    def _take_back(self, before: Settings, children: Mapping[str, Child], said: Mapping[str, str]) -> None:
        """Have the processes that took the settings use those of `before` again."""
        try:
            (self._directory / FORMER).replace(self._in_force)
        except OSError as error:
            log.error("settings_not_kept", failure=_failure(error))
        self._adopt(before, children)
        for name in said:
            children[name].take_settings(self.environment())
        self._record([], (), {name: reason for name, reason in said.items() if reason})
        self._record_refusal("; ".join(f"{name}: {reason}" for name, reason in said.items() if reason))

    def _refuse(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            log.error(
                "settings_not_reloaded",
                problem=str(problem),
                remedy="Correct the file; until then, the old settings stay.",
            )
        self._record([{"key": one.key, "message": one.message} for one in problems], ())
        self._record_refusal("; ".join(map(str, problems)))

    def _record_refusal(self, reason: str) -> None:
        # The supervisor must not wait for the database, and has no threads, since it forks.
        record = partial(_record_refusal, self.settings, self._process, reason)
        self._records.append(ForkedProcess(record))

    def end(self) -> None:
        """Remove the files with settings."""
        for name in (IN_FORCE, FORMER):
            with suppress(OSError):
                (self._directory / name).unlink(missing_ok=True)

    @property
    def _in_force(self) -> Path:
        return self._directory.resolve() / IN_FORCE

    def _write(self, name: str, tree: Mapping[str, Any]) -> None:
        self._root.require()
        write_durably(self._directory / name, json.dumps(tree).encode())

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
        try:
            self._write(LAST_RELOAD, outcome)
        except (TransientError, OSError) as error:
            log.error("outcome_not_recorded", failure=_failure(error))


def _failure(error: TransientError | OSError) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


def _record_refusal(settings: Settings, process: str, reason: str) -> None:
    # Imported only when there is something to record, to keep the supervisor small.
    from glam_node.node.bootstrap.base_node import brief_sessions
    from glam_node.node.workflow.record.events import record_refused_reload

    try:
        with brief_sessions(settings) as sessions:
            record_refused_reload(sessions, process, reason, datetime.now(UTC))
    except NodeError as error:
        log.warning("refusal_not_recorded", failure=str(error))


def _until_answered(child: Child) -> Iterator[None]:
    asked_at = time.monotonic()
    while child.refused is None and time.monotonic() < asked_at + (WORK_S if child.ends_its_work else ANSWER_S):
        yield


def _answer(child: Child) -> str:
    """Return why the child does not use the settings; empty if it does, or will after its work in progress."""
    if child.refused is None:
        return "" if child.ends_its_work else f"no answer within {ANSWER_S:.0f} s"
    return child.refused


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
