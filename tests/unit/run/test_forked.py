"""Processes that are forked from their supervisor, and what they have of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glam_node.node.run.forked import ForkedProcess
from glam_node.node.run.process_lifecycle import READY_FD
from glam_node.node.run.supervisor import Child, Program, stop_together
from tests.waiting import wait_until

SUPERVISOR = """
import json, os, sys, time
from glam_node.node.run.forked import execute
from glam_node.node.run.supervisor import Child, Program, stop_together
def run():
    print("of the child", end="", flush=True)
    facts = {
        "environment": dict(os.environ), "session": os.getsid(0) == os.getpid(), "input": sys.stdin.read(),
        "name": open("/proc/self/comm").read().strip(),
    }
    os.write(int(os.environ["GLAM_NODE_READY_FD"]), (json.dumps({"ready": json.dumps(facts)}) + "\\n").encode())
    execute(["/bin/sleep", "60"])
print("of the supervisor", end=", ")
child = Child(Program("sender", run, {"KEPT": "yes"}), {"OWN": "1"})
while child.word is None:
    child.look()
    time.sleep(0.01)
stop_together([child])
print(child.word, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def supervised() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SUPERVISOR],
        input="of a terminal",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.fixture(scope="module")
def facts(supervised: "subprocess.CompletedProcess[str]") -> Any:
    return json.loads(supervised.stderr)


def test_a_child_has_exactly_the_environment_of_its_program(facts: dict[str, Any]) -> None:
    ours = {name: value for name, value in facts["environment"].items() if not name.startswith("GLAM_NODE_")}
    assert ours == {"KEPT": "yes", "OWN": "1"}


def test_a_child_has_its_own_session_name_and_empty_input(facts: dict[str, Any]) -> None:
    assert (facts["session"], facts["name"], facts["input"]) == (True, "glam-sender", "")


def test_output_that_the_supervisor_had_not_written_yet_is_written_once(
    supervised: "subprocess.CompletedProcess[str]",
) -> None:
    assert supervised.stdout == "of the supervisor, of the child"


def test_a_child_that_cannot_be_forked_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, fork, refusals = tmp_path / "started", os.fork, iter([False, True, False])

    def limited() -> int:
        if next(refusals):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()

    def run() -> None:
        os.write(int(os.environ[READY_FD]), b'{"ready": ""}\n')
        with started.open("a") as file:
            file.write("x")

    monkeypatch.setattr(os, "fork", limited)
    child = Child(Program("child", run, dict(os.environ)))

    def has_started_again() -> bool:
        child.look()
        return started.exists() and started.read_text() == "xx"

    try:
        wait_until(has_started_again)
    finally:
        stop_together([child])


def test_a_process_that_somebody_else_reaped_counts_as_ended() -> None:
    process = ForkedProcess(lambda: None)
    os.waitpid(process.pid, 0)
    assert process.wait(10) == 0
