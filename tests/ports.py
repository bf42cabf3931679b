"""Ports for servers that tests start."""

import os
import random
import socket
from collections.abc import Iterator

# Below the ports of outgoing connections on Linux, since a connection could take a port before its server does.
PORTS = range(10_000, 32_000)


def _shuffled() -> Iterator[int]:
    """Yield the ports of this process once each; the workers of pytest-xdist share none."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(PORTS[worker::workers])
    random.SystemRandom().shuffle(ports)
    yield from ports


_PORTS = _shuffled()


def free_port() -> int:
    """Return a TCP port on loopback that is free at the moment, a different one at every call."""
    for port in _PORTS:
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise RuntimeError(f"all ports from {PORTS.start} to {PORTS.stop - 1} were given out or are in use")
