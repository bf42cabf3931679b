"""Ports for servers that the tests start."""

import socket


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
