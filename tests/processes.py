"""Programs that tests run as supervised processes, and facts about running processes from Linux."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import psutil

from glam_node.node.run.forked import ForkedProcess
from glam_node.node.run.process_lifecycle import PARENT, READY_FD, SOCKETS
from glam_node.node.run.skipped_imports import NEVER_USED
from glam_node.node.run.supervisor import Child, role_module, role_program
from tests.preloaded import Popen


def command_of_role(role: str) -> list[str]:
    """Return the command that runs a process of the node by itself, with the modules that its own command has."""
    skipping = f"skip_imports({role!r}); " if role in NEVER_USED else ""
    first = "from glam_node.node.run.skipped_imports import skip_imports"
    return [sys.executable, "-c", f"{first}; {skipping}from {role_module(role)} import main; main()"]


class Separate(Child):
    """A process of the node that does not share the memory of the test.

    Args:
        role: The name of the process.
        environment: Its environment.
        sockets: Listening sockets that it inherits.
        popen: The class that starts the process; `subprocess.Popen` executes it, for measurements.
    """

    def __init__(
        self,
        role: str,
        environment: Mapping[str, str],
        sockets: Sequence[socket.socket] = (),
        popen: type[subprocess.Popen[Any]] = Popen,
    ) -> None:
        self._command, self._popen = command_of_role(role), popen
        super().__init__(role_program(role, environment, sockets))

    def _launch(self, ready_fd: int) -> ForkedProcess:
        inherited = [one.fileno() for one in self._program.sockets]
        ours = {READY_FD: str(ready_fd), PARENT: str(os.getpid()), SOCKETS: " ".join(map(str, inherited))}
        process = self._popen(
            self._command,
            env={**self.environment, **self.own_environment, **ours},
            stdin=subprocess.DEVNULL,
            pass_fds=(ready_fd, *inherited),
            start_new_session=True,
        )
        return cast(ForkedProcess, process)  # which has the same methods


def children(pid: int) -> list[int]:
    """Return the sorted process IDs of the children of `pid`; none if it has exited."""
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []


def open_files(pid: int) -> list[Path]:
    """Return the paths of the open files, directories and sockets of a process."""
    return [one.readlink() for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()]


def sockets(pid: int) -> int:
    """The number of open sockets of a process."""
    return sum(str(path).startswith("socket:") for path in open_files(pid))
