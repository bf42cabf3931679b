"""Runs the checks of `doctor` at the same time, each with a time limit, and returns their results in order."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from glam_node.inference.errors import InferenceError
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.errors import NodeError

LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Question:
    """A check to run, with its name and time limit."""

    name: str
    ask: Callable[[], Iterable[Check]]
    limit_s: float = LIMIT_S


def answers(questions: Iterable[Question]) -> Iterator[Check]:
    """Run all checks at the same time and yield their results in the order of `questions`.

    A check that exceeds its time limit or raises an exception yields a FAIL.
    """
    for asked in [_Asked(question) for question in questions]:
        yield from asked.answers()


class _Asked:
    """A check that runs in a thread of its own, and that is abandoned after its time limit."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._deadline = time.monotonic() + question.limit_s
        self._said: queue.SimpleQueue[Check | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=question.name, daemon=True).start()

    def _run(self) -> None:
        name = self._question.name
        try:
            for check in self._question.ask():
                self._said.put(check)
        except (NodeError, InferenceError, OSError) as error:
            self._said.put(Check(name, Verdict.FAIL, str(error), "See the message; then ask again."))
        except Exception as error:
            fact = f"could not be looked at: {type(error).__name__}: {error}"
            self._said.put(Check(name, Verdict.FAIL, fact, "That is a fault of glam-node: please report it."))
        self._said.put(None)

    def answers(self) -> Iterator[Check]:
        while True:
            try:
                check = self._said.get(timeout=max(self._deadline - time.monotonic(), 0.01))
            except queue.Empty:
                fact = f"no answer within {self._question.limit_s:.0f} s"
                yield Check(self._question.name, Verdict.FAIL, fact, "Something does not answer: look there first.")
                return
            if check is None:
                return
            yield check
