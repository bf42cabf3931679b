"""The search for the process that listens on a TCP port of this machine."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (proc(5))."""


def listener_of(port: int) -> str:
    """Return program and process ID of the listener on `port`; empty if there is none or another user owns it."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    for directory in PROC.glob("[0-9]*") if inodes else ():
        try:
            if any(str(link.readlink()) in inodes for link in (directory / "fd").iterdir()):
                return f"{(directory / 'comm').read_text().strip()}, process {directory.name}"
        except OSError:
            continue
    return ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]
