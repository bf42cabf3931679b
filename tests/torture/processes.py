"""The processes of one node, each killed and started again at will."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glam_node.node.run.lifeline import PARENT
from glam_node.node.run.supervisor import module
from tests.integration.node_directory import REPOSITORY, NodeDirectory
from tests.peers import PEERS

ROLES = ("receiver", "dispatcher", "worker", "sender")
GRACE_S = 20.0


@dataclass
class Process:
    """One program; what it writes goes to a file of its own."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log_path: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Running; to be called in the main thread, with which it dies."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env={**self.environment, PARENT: str(os.getpid())}, stdout=log, stderr=log
            )

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """Gone, by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Gone, by SIGTERM if that is enough."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Tree:
    """All of them, and a diary of what was done to them."""

    processes: dict[str, Process]
    diary_path: Path
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Those that ended without being killed, with their exit code; they were started again."""

    def start(self) -> None:
        """All running."""
        for process in self.processes.values():
            process.start()

    def kill(self, name: str) -> None:
        """One is gone; somebody has to start it again."""
        self.note("kill", name=name)
        self.processes[name].kill()
        self.kills[name.rstrip("0123456789")] += 1

    def tend(self) -> None:
        """What is not running is started."""
        for name, process in self.processes.items():
            code = process.exit_code()
            if code is not None:
                if code != -9:
                    self.note("ended", name=name, exit_code=code)
                    self.ended[f"{name} ({code})"] += 1
                process.start()

    def end(self) -> None:
        """None is left."""
        for process in reversed(self.processes.values()):
            process.end()

    def note(self, event: str, **facts: Any) -> None:
        """One line in the diary."""
        with self.diary_path.open("a") as diary:
            diary.write(json.dumps({"at": round(time.time(), 3), "event": event, **facts}) + "\n")


def tree_of(node: NodeDirectory, *, redis_port: int, workers: int) -> Tree:
    """A node's processes and its Redis, not started."""
    # As this test imports the product, so do its processes; the attempts of a job are not what is tried here.
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = node.environment() | {"PYTHONPATH": path, "GLAM_NODE__INFERENCE__MAXIMUM_ATTEMPTS": "100"}
    redis_options = ("--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(node.path))
    processes = {
        "redis": Process("redis", (PEERS["redis-server"].program, *redis_options), {}, node.path / "redis.log")
    }
    names = [role for role in ROLES if role != "worker"] + [f"worker{number}" for number in range(1, workers + 1)]
    for name in names:
        command = module(name.rstrip("0123456789"))
        processes[name] = Process(name, command, environment, node.path / f"{name}.log")
    return Tree(processes, node.path / "diary.jsonl")
