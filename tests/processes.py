"""Facts about running processes from Linux."""

from pathlib import Path

import psutil


def children(pid: int) -> list[int]:
    """Return the sorted process IDs of the children of `pid`; none if it has exited."""
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []


def sockets(pid: int) -> int:
    """The number of open sockets of a process."""
    return sum(
        str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()
    )
