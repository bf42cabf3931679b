"""Threads, files and memory that the processes of a receiver use."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.scp.raw import Sender
from tests.processes import children, sockets


@dataclass(frozen=True, slots=True)
class Holding:
    """Resources that a process uses at one moment."""

    pid: int
    threads: int
    files: int
    resident_kib: int


def holding(pid: int) -> Holding:
    """Return the resources of the process `pid`."""
    stated = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Holding(pid, int(stated["Threads"]), files, int(stated["VmRSS"].split()[0]))


def holdings(pid: int) -> list[Holding]:
    """Of the process `pid` and its children: the parent of the receivers comes first."""
    return [holding(one) for one in (pid, *children(pid))]


def holdings_at_rest(pid: int) -> list[Holding]:
    """Return the resources as soon as none was released for a second."""
    earlier = holdings(pid)
    while True:
        time.sleep(1.0)
        now = holdings(pid)
        if have_let_go(earlier, now):
            return now
        earlier = now


def have_let_go(now: Sequence[Holding], then: Sequence[Holding], more_threads: int = 0) -> bool:
    """Return whether the same processes have no more files than before, and at most `more_threads` more threads."""
    return all(
        one.pid == before.pid and one.threads <= before.threads + more_threads and one.files <= before.files
        for one, before in zip(now, then, strict=True)
    )


def growth_kib(now: Sequence[Holding], then: Sequence[Holding]) -> list[int]:
    """Return by how much the memory of each process has grown."""
    return [one.resident_kib - before.resident_kib for one, before in zip(now, then, strict=True)]


def make_each_store(port: int, pid: int, root: str) -> None:
    """Each process of the receiver whose parent is `pid` has stored an image, over an association that it has."""
    receivers = children(pid)
    with ExitStack() as stack:
        before = {receiver: sockets(receiver) for receiver in receivers}
        senders = []
        while any(sockets(receiver) == before[receiver] for receiver in receivers):
            senders.append(stack.enter_context(Sender(port)))
            assert senders[-1].associate(calling=MODALITY) == 2
        for number, sender in enumerate(senders):
            uid = f"{root}.{number}"
            assert sender.store(uid, data_set(uid)) == 0x0000
