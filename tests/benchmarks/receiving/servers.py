"""Receivers to compare, each a separate process with empty storage: our own and those of others."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.integration.modality import MODALITY
from tests.integration.node_directory import write_node
from tests.peers import PEERS
from tests.ports import free_port
from tests.processes import children
from tests.system.orthanc import Orthanc
from tests.waiting import wait_for_listener

PLAIN_PYNETDICOM = Path(__file__).with_name("plain_pynetdicom.py")


@dataclass(frozen=True, slots=True)
class Server:
    """A listening receiver."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that the receiver and its children, including exited ones, have used so far."""
        own = _ticks(self.pid)
        return (sum(own) + sum(sum(_ticks(child)[:2]) for child in children(self.pid))) / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float:
        """Return the peak resident memory of the listening process plus the private memory of its children."""
        own = _kilobytes(Path(f"/proc/{self.pid}/status"), "VmHWM")
        forked = [Path(f"/proc/{child}/smaps_rollup") for child in children(self.pid)]
        return (own + sum(_kilobytes(child, "Private_Clean", "Private_Dirty") for child in forked)) / 1024


Serve = Callable[[Path], AbstractContextManager[Server]]


@contextmanager
def ours(directory: Path, **chosen: str) -> Iterator[Server]:
    """Run the node's receiver as `glam-node serve` starts it, with these [node] settings."""
    node = write_node(directory)
    chosen = {f"GLAM_NODE__NODE__{name.upper()}": value for name, value in chosen.items()}
    # The database exists, as after a first start: creating or upgrading it loads more modules.
    node.build().sessions.kw["bind"].dispose()
    with node.executed("receiver", GLAM_NODE__LOG__LEVEL="warning", **chosen) as child:
        yield Server(int(child.word or 0), child.pid)


@contextmanager
def storescp(directory: Path, *options: str) -> Iterator[Server]:
    """Run DCMTK's storescp, with or without options."""
    port = free_port()
    program = PEERS["dcmtk"].program.with_name("storescp")
    with _ended(subprocess.Popen([program, *options, "-od", directory, str(port)], stdout=subprocess.DEVNULL)) as one:
        wait_for_listener(port)
        yield Server(port, one.pid)


@contextmanager
def orthanc(directory: Path) -> Iterator[Server]:
    """Run Orthanc with its default configuration."""
    archive = Orthanc(directory, free_port(), free_port(), "GLAMNODE")
    archive.start()
    try:
        assert archive._process is not None
        yield Server(archive.dicom_port, archive._process.pid)
    finally:
        archive.kill()


@contextmanager
def pynetdicom(directory: Path) -> Iterator[Server]:
    """Run pynetdicom as its documentation shows."""
    command: list[str | Path] = [sys.executable, PLAIN_PYNETDICOM, directory]
    with _ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as one:
        assert one.stdout is not None
        yield Server(int(one.stdout.readline()), one.pid)


@contextmanager
def fresh(serve: Serve, directory: Path) -> Iterator[Server]:
    """Run a server with an empty directory, which is synchronised and removed at the end."""
    directory.mkdir(parents=True)
    try:
        with serve(directory) as server:
            yield server
    finally:
        shutil.rmtree(directory)
        subprocess.run(["sync", "-f", directory.parent], check=True)


SERVERS: dict[str, Serve] = {
    "ours": ours,
    "ours, one process": partial(ours, receiver_processes="1"),
    "ours, two processes": partial(ours, receiver_processes="2"),
    "storescp": storescp,
    "storescp +B -pdu 131072": lambda path: storescp(path, "+B", "-pdu", "131072"),
    "storescp +B -pdu 131072 --fork": lambda path: storescp(path, "+B", "-pdu", "131072", "--fork"),
    "Orthanc": orthanc,
    "pynetdicom": pynetdicom,
}
__all__ = ["MODALITY", "SERVERS", "Server", "fresh"]


def _ticks(pid: int) -> list[int]:
    """Return user and system time of a process, then those of its children that were waited for."""
    return [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]


def _kilobytes(path: Path, *names: str) -> int:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except (ProcessLookupError, FileNotFoundError):  # the children of storescp have exited
        return 0
    return sum(int(words[1]) for words in lines if words[0].rstrip(":") in names)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.kill()
