"""Ports for servers that the tests start."""

import random
import socket

# Below those that Linux gives to outgoing connections, one of which may take a port before its server does.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on at the moment."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
