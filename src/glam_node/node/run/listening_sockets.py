"""Listening sockets of console and HL7 port, which their processes inherit, so that callers outlive each of them."""

import errno
import socket

from glam_node.node.errors import PermanentError
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.hl7 import HL7ListenerSettings


def console_sockets(chosen: ConsoleSettings) -> list[socket.socket]:
    """Listen at every address of console.host. Raises PermanentError if the port is taken or may not be used."""
    return _listening("The console", "console.port", chosen.host, chosen.port)


def hl7_sockets(chosen: HL7ListenerSettings) -> list[socket.socket]:
    """Listen at every address of hl7.host. Raises PermanentError if the port is taken or may not be used."""
    return _listening("The HL7 port", "hl7.port", chosen.host, chosen.port)


def _listening(subject: str, key: str, host: str, port: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((one[0], one[4][:2]) for one in found):
            try:
                opened.append(socket.create_server((str(address[0]), port), family=family))
            except OSError as error:
                # "localhost" also has an IPv6 address where the machine has none.
                if len(found) == 1 or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
    except OSError as error:
        for one in opened:
            one.close()
        raise PermanentError(
            f"{subject} cannot listen on {host}, {key} {port}: the port is taken, or this user "
            f"may not use it ({error.strerror}). Set another {key}."
        ) from error
    return opened
