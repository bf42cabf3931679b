"""Answers to an association request with one oddity each (PS3.8 9.3.3, 9.3.4), as real archives send them."""

import socket
import struct
from collections.abc import Callable
from typing import Any

from tests.associations import (
    APPLICATION_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    PUSH_MODEL,
    USUAL,
    VERIFICATION,
    acceptance,
    answered,
    class_uid,
    item,
    maximum_length,
    role,
    user,
    version_name,
)

Answer = Callable[[int, bytes], bytes]
"""Function from the first context's ID and its first transfer syntax to the answer."""


def _with(*sub_items: bytes) -> Answer:
    """Return an answer that accepts the first context, with these sub-items added to the user information."""
    users = user(maximum_length(), class_uid(), *sub_items)
    return lambda number, syntax: acceptance(answered(number, 0, syntax), users=users)


def _beside(*contexts: bytes, **fields: Any) -> Answer:
    """Return an answer that accepts the first context, with these contexts and fields added."""
    return lambda number, syntax: acceptance(answered(number, 0, syntax), *contexts, **fields)


ODD: dict[str, Answer] = {
    "nothing odd": _beside(),
    # Items and sub-items
    "an unknown item": _beside(item(0x60, b"new")),
    "an unknown sub-item of the user": _with(item(0x5F, b"new")),
    "many unknown sub-items": _with(*[item(0x70 + number, bytes(number)) for number in range(100)]),
    "the user information before the contexts": lambda number, syntax: acceptance(
        USUAL, answered(number, 0, syntax), users=b""
    ),
    "reserved bytes that are not zero": lambda number, syntax: acceptance(
        item(0x21, bytes([number, 9, 0, 9]) + item(0x40, syntax, reserved=9), reserved=9), reserved=b"\xff" * 32
    ),
    "AE titles that are zeros": _beside(titles=bytes(32)),
    "AE titles that are not ASCII": _beside(titles=b"\xff" * 32),
    "AE titles of others": _beside(titles=b"SOMEBODY".ljust(16) + b"ELSE".ljust(16)),
    "no user information": _beside(users=b""),
    "no application context": _beside(application=b""),
    "another application context": _beside(application=item(0x10, APPLICATION_CONTEXT + b".9")),
    "an application context with a NUL": _beside(application=item(0x10, APPLICATION_CONTEXT + b"\0")),
    "another protocol version": lambda number, syntax: acceptance(answered(number, 0, syntax), version=3),
    # Version name, class UID and maximum length
    "a version name of 20 characters": _with(version_name(b"A" * 20)),
    "a version name with a NUL at its end": _with(version_name(b"ARCHIVE_1\0")),
    "a version name that is not ASCII": _with(version_name(b"ARCHIV\xc9")),
    "an empty version name": _with(version_name(b"")),
    "no maximum length": _beside(users=user(class_uid())),
    "a maximum length of 0": _beside(users=user(maximum_length(0), class_uid())),
    "a maximum length of 4 GB": _beside(users=user(maximum_length(0xFFFFFFFF), class_uid())),
    "a maximum length of 64": _beside(users=user(maximum_length(64), class_uid())),
    "no class UID": _beside(users=user(maximum_length())),
    "a class UID that is none": _beside(users=user(maximum_length(), class_uid(b"NONE"))),
    "a class UID with leading zeros": _beside(users=user(maximum_length(), class_uid(b"1.02.3"))),
    # Roles, identity and windows that were not requested
    "a role that was not proposed": _with(role(PUSH_MODEL, 1, 1), role(VERIFICATION, 1, 1)),
    "an asynchronous operations window": _with(item(0x53, struct.pack(">HH", 8, 8))),
    "an answer to a user identity": _with(item(0x59, struct.pack(">H", 4) + b"user")),
    "an extended negotiation": _with(item(0x56, struct.pack(">H", len(VERIFICATION)) + VERIFICATION + b"\1")),
    # Contexts
    "contexts that were not proposed": _beside(answered(201, 0, EXPLICIT), answered(203, 3, IMPLICIT)),
    "an even context id": _beside(answered(2, 0, EXPLICIT)),
    "the same context again, refused": lambda number, syntax: acceptance(
        answered(number, 0, syntax), answered(number, 3, syntax)
    ),
    "a result that the standard does not have": _beside(answered(3, 9, IMPLICIT)),
    "a refused context without a transfer syntax": _beside(answered(3, 4)),
    "a refused context with a transfer syntax that is none": _beside(answered(3, 3, b"\xff")),
    "a context accepted in a transfer syntax that was not proposed": _beside(answered(3, 0, JPEG)),
    "a transfer syntax with a NUL at its end": lambda number, syntax: acceptance(answered(number, 0, syntax + b"\0")),
    "a transfer syntax with a space at its end": lambda number, syntax: acceptance(answered(number, 0, syntax + b" ")),
    "an accepted context without a transfer syntax": lambda number, _syntax: acceptance(answered(number, 0)),
    "two transfer syntaxes": lambda number, syntax: acceptance(answered(number, 0, syntax, JPEG)),
}
"""Oddity -> answer, which always accepts the first context."""

REFUSED: dict[str, Answer] = {
    "no context": lambda _number, _syntax: acceptance(),
    "no context that was proposed": lambda _number, _syntax: acceptance(answered(201, 0, EXPLICIT)),
    "a result that the standard does not have": lambda number, syntax: acceptance(answered(number, 7, syntax)),
    "a transfer syntax that was not proposed": lambda number, _syntax: acceptance(answered(number, 0, JPEG)),
    "an item that is longer than the answer": lambda number, syntax: acceptance(
        answered(number, 0, syntax), users=item(0x50, b"", length=60000)
    ),
    "a sub-item that is longer than the user information": lambda number, syntax: acceptance(
        answered(number, 0, syntax), users=user(item(0x52, b"1", length=900))
    ),
    "fixed fields that are cut": lambda _number, _syntax: struct.pack(">BBI", 2, 0, 20) + bytes(20),
    "a rejection with unknown codes": lambda _number, _syntax: struct.pack(">BBIBBBB", 3, 0, 4, 0, 9, 9, 99),
    "a rejection that is cut": lambda _number, _syntax: struct.pack(">BBIBB", 3, 0, 2, 0, 1),
    "a rejection without a body": lambda _number, _syntax: struct.pack(">BBI", 3, 0, 0),
    "an abort with unknown codes": lambda _number, _syntax: struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 1, 99),
    "an abort of the provider with an unknown reason": lambda _number, _syntax: struct.pack(
        ">BBIBBBB", 7, 0, 4, 0, 0, 2, 200
    ),
    "a release": lambda _number, _syntax: struct.pack(">BBII", 5, 0, 4, 0),
    "data": lambda _number, _syntax: struct.pack(">BBIIBB", 4, 0, 6, 2, 1, 3),
    "a PDU of 4 GB": lambda _number, _syntax: struct.pack(">BBI", 2, 0, 0xFFFFFFFF) + bytes(100),
}
"""Reason why nothing can be sent -> answer."""


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Return type and body of the next PDU; type 0 at the end."""
    with connection.makefile("rb", buffering=0) as stream:
        head = _exactly(stream.read, 6)
        return (head[0], _exactly(stream.read, int.from_bytes(head[2:], "big"))) if len(head) == 6 else (0, b"")


def _exactly(read: Callable[[int], bytes | None], count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := read(count - len(data))):
        data += piece
    return data


def first_context(request: bytes) -> tuple[int, bytes]:
    """Return ID and first transfer syntax of the first presentation context in the body of a request."""
    at = request.index(b"\x20\0", 68)
    syntax = request.index(b"\x40\0", at)
    length = int.from_bytes(request[syntax + 2 : syntax + 4], "big")
    return request[at + 4], request[syntax + 4 : syntax + 4 + length]
