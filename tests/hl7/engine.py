"""An HL7 engine of another maker (@medplum/hl7), and validation by hl7apy."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message

from tests.peers import PEERS
from tests.waiting import wait_until

_MODULE = PEERS["hl7-engine"].program.parent / "dist" / "esm" / "index.mjs"


@dataclass
class Engine:
    """A running engine."""

    port: int
    _log: Path
    _answer: Path

    def answer(self, code: str) -> None:
        """Let the engine answer the following messages with this code, such as AA."""
        self._answer.write_text(code)

    def messages(self) -> list[str]:
        """Return the messages that arrived, in order, with CR after each segment."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [message for message in map(json.loads, lines) if message != "listening"]


@contextmanager
def running_engine(directory: Path, port: int, *, enhanced: bool = False) -> Iterator[Engine]:
    """Run an engine until the end of the block; one that runs again in a directory keeps its messages."""
    directory.mkdir(parents=True, exist_ok=True)
    log, answer = directory / "messages", directory / "answer"
    engine = Engine(port, log, answer)
    before = log.read_text(encoding="utf-8").count("listening") if log.exists() else 0
    answer.write_text("AA")
    command: list[str | Path] = [PEERS["node"].program, Path(__file__).with_name("engine.mjs"), _MODULE, str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen([*command, str(enhanced).lower(), answer], stdout=output)
    try:
        wait_until(lambda: log.read_text(encoding="utf-8").count("listening") > before, 30)
        yield engine
    finally:
        process.kill()
        process.wait()


def validated(message: str) -> Message:
    """Return a message that hl7apy parses and finds valid; fail if it does not."""
    parsed = parse_message(message if message.endswith("\r") else f"{message}\r", VALIDATION_LEVEL.STRICT)
    assert parsed.validate()
    return parsed
