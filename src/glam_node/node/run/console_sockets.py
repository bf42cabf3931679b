"""Listening sockets of the console, which its processes inherit, so that a waiting browser outlives each of them."""

import errno
import socket

from glam_node.node.errors import PermanentError
from glam_node.settings.console import ConsoleSettings


def listening_sockets(chosen: ConsoleSettings) -> list[socket.socket]:
    """Listen at every address of console.host. Raises PermanentError if the port is taken or may not be used."""
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(chosen.host, chosen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((one[0], one[4][:2]) for one in found):
            try:
                opened.append(socket.create_server((str(address[0]), chosen.port), family=family))
            except OSError as error:
                # "localhost" also has an IPv6 address where the machine has none.
                if len(found) == 1 or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
    except OSError as error:
        for one in opened:
            one.close()
        raise PermanentError(
            f"The console cannot listen on {chosen.host}, console.port {chosen.port}: the port is taken, or this user "
            f"may not use it ({error.strerror}). Set another console.port."
        ) from error
    return opened
