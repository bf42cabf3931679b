"""What Linux says of running processes."""

from pathlib import Path

import psutil


def children(pid: int) -> list[int]:
    """The process ids of the children of `pid`, in order, whichever of its threads made them; none when it is gone."""
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []


def sockets(pid: int) -> int:
    """The number of open sockets of a process."""
    return sum(
        str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()
    )
