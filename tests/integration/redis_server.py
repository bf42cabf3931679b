"""Debian's redis-server on a free port."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glam_node.node.errors import TransientError
from glam_node.node.worker.broker import ping
from tests.peers import PEERS


@contextmanager
def redis_server(directory: Path, port: int) -> Iterator[str]:
    """The URL of a Redis that keeps nothing and ends with the block."""
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    url = f"redis://127.0.0.1:{port}/0"
    with subprocess.Popen([PEERS["redis-server"].program, *arguments], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_broker(url)
            yield url
        finally:
            process.terminate()


def wait_for_broker(url: str) -> None:
    """A broker answers at `url`."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return ping(url)
        except TransientError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
