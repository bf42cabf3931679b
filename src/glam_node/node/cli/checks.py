"""The result of a check of `doctor`, and the function that runs all checks at the same time."""

import fcntl
import math
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from glam_node.inference.errors import InferenceError
from glam_node.node.errors import NodeError

TIME_LIMIT_S = 20.0


class Verdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: one line of `doctor`."""

    name: str
    verdict: Verdict
    fact: str
    remedy: str = ""
    """What to do, as a sentence; empty if there is nothing to do."""

    @property
    def may_be_left_out(self) -> bool:
        """Whether `--without` may leave the line out; a mistake in the settings is always reported."""
        return self.name != "settings" or self.verdict is not Verdict.FAIL


def is_named(line: str, words: Collection[str]) -> bool:
    """Return whether one of the words is the name of the line or check, or the first word of it."""
    return line in words or line.split()[0] in words


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Checks to run, with a name and a time limit."""

    name: str
    run: Callable[[], Iterable[Check]]
    time_limit_s: float = TIME_LIMIT_S


def run_checks(tasks: Iterable[CheckTask]) -> Iterator[Check]:
    """Run all tasks at the same time and yield their results in the order of `tasks`.

    A task that exceeds its time limit or raises an exception yields a FAIL.
    """
    for running in [_RunningTask(task) for task in tasks]:
        yield from running.results()


class _RunningTask:
    """A task that runs in a separate thread and is abandoned after its time limit."""

    def __init__(self, task: CheckTask) -> None:
        self._task = task
        self._deadline = time.monotonic() + task.time_limit_s
        self._results: queue.SimpleQueue[Check | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=task.name, daemon=True).start()

    def _run(self) -> None:
        name = self._task.name
        try:
            for check in self._task.run():
                self._results.put(check)
        except (NodeError, InferenceError, OSError) as error:
            fact = (
                f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
            )
            self._results.put(Check(name, Verdict.FAIL, fact, "See the message, then run `glam-node doctor` again."))
        except Exception as error:
            fact = f"the check failed: {type(error).__name__}: {error}"
            self._results.put(Check(name, Verdict.FAIL, fact, "This is a bug in glam-node. Please report it."))
        self._results.put(None)

    def results(self) -> Iterator[Check]:
        while True:
            try:
                check = self._results.get(timeout=max(self._deadline - time.monotonic(), 0.01))
            except queue.Empty:
                fact = f"no answer within {self._task.time_limit_s:.0f} s"
                yield Check(
                    self._task.name,
                    Verdict.FAIL,
                    fact,
                    "A system that this check contacts does not answer. Check that system first.",
                )
                return
            if check is None:
                return
            yield check


def served_for_s(root: Path) -> float:
    """Return how many seconds ago the node on this storage root started; infinity if that is not known."""
    from glam_node.node.run.all_in_one import LOCK_FILE

    try:
        return time.time() - (root / LOCK_FILE).stat().st_mtime
    except OSError:
        return math.inf


def serving_process(root: Path) -> str:
    """Return the process ID of the node that runs on this storage root, "?" if unknown, and "" if no node runs."""
    from glam_node.node.run.all_in_one import LOCK_FILE

    try:
        with (root / LOCK_FILE).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "?"
    except OSError:
        pass
    return ""
