"""A whole node as one process tree."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.integration.archive import Archive
from tests.integration.node_directory import SERVE_COMMAND, NodeDirectory
from tests.preloaded import Popen

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


class Serving:
    """A running `serve` process, the line that it printed, and its port."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        found = re.fullmatch(r"glam-node: listening on 127\.0\.0\.1:(\d+)[^\n]* as GLAMNODE[^\n]*\n", self.line)
        assert found, self.line
        self.port = int(found[1])

    def children(self) -> dict[str, psutil.Process]:
        """Return its child processes by role, without their own children."""
        children = psutil.Process(self.process.pid).children()
        names = {child: name_of(child).removeprefix("glam-") for child in children}
        roles = ("receiver", "dispatcher", "sender", "worker", "valkey-server")
        return {name: child for child, name in names.items() if name in roles}


def name_of(process: psutil.Process) -> str:
    """Return the name of a process; empty if it has ended."""
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def serving(node: NodeDirectory) -> Iterator[Serving]:
    """Run the node until the test is over, and stop it by SIGTERM."""
    with (node.path / "log").open("ab") as log:
        process = Popen(SERVE_COMMAND, env=node.environment(), stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            yield Serving(process)
        finally:
            process.terminate()


def results(archive: Archive) -> Counter[str]:
    """Return the number of objects that the archive got by SOP class, after checking that no UID came twice."""
    assert len(set(archive.uids())) == len(archive.uids())
    return Counter(received.sop_class_uid for received in archive.received)
