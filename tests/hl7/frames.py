"""A sender of HL7 messages that writes frames by itself, also broken ones, and over TLS."""

import socket
import ssl
from contextlib import suppress

from glam_node.node.hl7.mllp import FrameReader, framed
from tests.certificates import Signed


def exchange(port: int, data: bytes, *, signed: Signed | None = None, presents: bool = True) -> bytes:
    """Send bytes as they are, and return the first message of the answer; empty if the connection is closed.

    With `signed`, TLS is used, with its authorities and, if `presents`, its certificate.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        if signed is None:
            return _exchange(plain, data)
        context = ssl.create_default_context(cafile=str(signed.ca))
        if presents:
            context.load_cert_chain(signed.certificate, signed.key)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            return _exchange(secured, data)


def _exchange(connection: socket.socket, data: bytes) -> bytes:
    reader = FrameReader(2**20)
    with suppress(OSError):
        connection.sendall(data)
        while (frame := reader.next()) is None:
            received = connection.recv(65_536)
            if not received:
                return b""
            reader.add(received)
        return frame
    return b""


def framed_text(text: str) -> bytes:
    """Return a message in a frame."""
    return framed(text.encode())
