"""Modalities that send exams with DCMTK and repeat each instance until it is answered 0x0000."""

import random
import re
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.integration.modality import MODALITY
from tests.system.node_process import dcmtk
from tests.torture.ledger import Ledger, Sent, write_exam

TITLES = ("-aet", MODALITY, "-aec", "GLAMNODE")
# A sender that waits forever would hide a node that never answers.
PATIENCE = ("-to", "5", "-ta", "20", "-td", "60")
_ANSWER = re.compile(r"I: Received (?:Store|C-STORE) Response \((.*)\)")


class Modality(threading.Thread):
    """A modality that sends new exams until it is told to stop, and finishes the last one."""

    def __init__(self, ledger: Ledger, port: int, directory: Path, *, seed: int, pause_s: float) -> None:
        super().__init__(name=f"modality-{seed}", daemon=True)
        self.stop = threading.Event()
        """No new exam is begun."""
        self._ledger, self._port, self._directory = ledger, port, directory
        self._random = random.Random(seed)
        self._seed, self._pause_s = seed, pause_s

    def run(self) -> None:
        """Send exams."""
        for number in count():
            if self.stop.is_set():
                return
            exam = write_exam(self._directory / f"{self._seed}-{number}", self._seed + number)
            self._ledger.expect(exam)
            self._send(exam)
            self.stop.wait(self._random.uniform(0, 2 * self._pause_s))

    def _send(self, exam: list[Sent]) -> None:
        while waiting := self._ledger.unanswered(exam):
            for batch in self._associations(waiting):
                for one, words in zip(batch, answers(self._port, batch), strict=False):
                    if words == "Success":
                        self._ledger.answered(one)
                    else:
                        self._ledger.refused(words)
            self._settle(waiting)

    def _associations(self, waiting: list[Sent]) -> Iterator[list[Sent]]:
        """Yield all instances together, or split over several associations."""
        if self._random.random() < 0.7:
            yield waiting
        else:
            yield from ([one] for one in waiting)

    def _settle(self, waiting: list[Sent]) -> None:
        if self._ledger.unanswered(waiting):
            threading.Event().wait(self._random.uniform(0.05, 0.5))


def answers(port: int, exam: list[Sent]) -> list[str]:
    """Send the files and return the answers in order; files without an answer are missing at the end."""
    files = [str(one.path) for one in exam]
    program = "storescu" if len(exam) > 1 else "dcmsend"
    done = dcmtk(program, "-v", *PATIENCE, *TITLES, "127.0.0.1", str(port), *files)
    return _ANSWER.findall(done.stdout + done.stderr)
