"""Programs that tests run as supervised processes, and facts about running processes from Linux."""

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from glam_node.node.run.forked import execute
from glam_node.node.run.skipped_imports import NEVER_USED
from glam_node.node.run.supervisor import Program, role_module, role_program


def command_of_role(role: str) -> list[str]:
    """Return the command that runs a process of the node by itself, with the modules that its own command has."""
    skipping = f"skip_imports({role!r}); " if role in NEVER_USED else ""
    first = "from glam_node.node.run.skipped_imports import skip_imports"
    return [sys.executable, "-c", f"{first}; {skipping}from {role_module(role)} import main; main()"]


def separate(role: str, environment: Mapping[str, str], sockets: Sequence[socket.socket] = ()) -> Program:
    """Return the program of a process of the node that does not share the memory of the test."""
    return replace(role_program(role, environment, sockets), run=partial(execute, command_of_role(role)))


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
