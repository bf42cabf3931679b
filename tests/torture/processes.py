"""The processes of one node, each of which can be killed and started again."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from glam_node.node.run.process_lifecycle import PARENT
from tests.integration.node_directory import REPOSITORY, SERVE_COMMAND, NodeDirectory
from tests.peers import PEERS
from tests.preloaded import Popen
from tests.processes import children, command_of_role

GRACE_S = 20.0


@dataclass
class Process:
    """One program, which writes its log to a separate file."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log_path: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program from the main thread; it dies with that thread."""
        with self.log_path.open("ab") as log:
            self._process = Popen(
                self.command, env={**self.environment, PARENT: str(os.getpid())}, stdout=log, stderr=log
            )

    def exit_code(self) -> int | None:
        """Return the exit code, or None while the program runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """Kill the program by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_a_child(self) -> bool:
        """Kill the first child by SIGKILL, and return whether there was one."""
        assert self._process is not None
        try:
            os.kill(children(self._process.pid)[0], signal.SIGKILL)
        except (IndexError, ProcessLookupError):
            return False
        return True

    def freeze(self) -> None:
        """Stop the program without its knowledge (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the program (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Stop the program by SIGTERM, or by SIGKILL if it does not exit in time."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Tree:
    """All processes of a node, with a diary of what was done to them."""

    processes: dict[str, Process]
    diary_path: Path
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Number of exits that were no kill, by process and exit code; these processes were started again."""

    def start(self) -> None:
        """Start all processes."""
        for process in self.processes.values():
            process.start()

    def kill(self, name: str) -> None:
        """Kill a process; `tend` starts it again."""
        self.note("kill", name=name)
        self.processes[name].kill()
        self.kills[role_of(name)] += 1

    def kill_child(self, name: str) -> None:
        """One that the process has forked is gone, if there is any; the process sees to it."""
        if self.processes[name].kill_a_child():
            self.note("kill", name=f"child of {name}")
            self.kills[f"child of {role_of(name)}"] += 1

    def tend(self) -> None:
        """Start every process that has exited."""
        for name, process in self.processes.items():
            code = process.exit_code()
            if code is not None:
                if code != -9:
                    self.note("ended", name=name, exit_code=code)
                    self.ended[f"{name} ({code})"] += 1
                process.start()

    def end(self) -> None:
        """Stop all processes."""
        for process in reversed(self.processes.values()):
            process.end()

    def note(self, event: str, **facts: Any) -> None:
        """Write a line to the diary."""
        with self.diary_path.open("a") as diary:
            diary.write(json.dumps({"at": round(time.time(), 3), "event": event, **facts}) + "\n")


def parts_of(
    node: NodeDirectory, *, redis_port: int, workers: int, senders: int, more: Mapping[str, str] = MappingProxyType({})
) -> Tree:
    """Return a node's processes and its Redis, not started; `more` is added to the environment of our processes."""
    redis_options = ("--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(node.path))
    processes = {
        "redis": Process("redis", (PEERS["redis-server"].program, *redis_options), {}, node.path / "redis.log")
    }
    several = [f"worker{number + 1}" for number in range(workers)] + [
        f"sender{number + 1}" for number in range(senders)
    ]
    for name in ("receiver", "dispatcher", *several):
        processes[name] = Process(
            name, command_of_role(role_of(name)), environment(node, more), node.path / f"{name}.log"
        )
    return Tree(processes, node.path / "diary.jsonl")


def whole(node: NodeDirectory) -> Tree:
    """Return a node as `glam-node serve` runs it, with the embedded broker, not started."""
    return Tree(
        {"serve": Process("serve", SERVE_COMMAND, environment(node), node.path / "serve.log")},
        node.path / "diary.jsonl",
    )


def role_of(name: str) -> str:
    """Return the role of a process, which is its name without a number."""
    return name.rstrip("0123456789")


def environment(node: NodeDirectory, more: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the environment of the processes, which import the same product as this test.

    The number of attempts is high, since these tests do not examine when a job is given up.
    """
    further = more.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    path = os.pathsep.join([str(REPOSITORY), further]).rstrip(os.pathsep)
    attempts = {"GLAM_NODE__INFERENCE__MAXIMUM_ATTEMPTS": "100"}
    return {**node.environment(), **attempts, **more, "PYTHONPATH": path}
