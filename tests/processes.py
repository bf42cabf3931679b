"""What Linux says of running processes."""

import psutil


def children(pid: int) -> list[int]:
    """The process ids of the children of `pid`, in order, whichever of its threads made them; none when it is gone."""
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []
