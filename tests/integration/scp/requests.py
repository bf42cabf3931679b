"""Association requests with one oddity each, built from PS3.8 9.3.2, PS3.7 Annex D and requests of real peers."""

import struct

from tests.associations import (
    APPLICATION_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    MG,
    PUSH_MODEL,
    USUAL,
    VERIFICATION,
    class_uid,
    item,
    maximum_length,
    proposed,
    request,
    role,
    user,
    version_name,
)

GOOD = proposed(1, VERIFICATION, EXPLICIT, IMPLICIT)
"""The context that every readable request proposes."""
OTHER = proposed(3, MG, EXPLICIT)
_IDENTITY = item(0x58, struct.pack(">BBH", 1, 0, 4) + b"user" + struct.pack(">H", 0))
_CUT_CONTEXT = item(0x20, bytes([3, 0, 0, 0]) + item(0x30, MG, length=200))


def _with(*sub_items: bytes) -> bytes:
    """Encode a request with the good context and these further sub-items of user information."""
    return request(GOOD, users=user(maximum_length(), class_uid(), *sub_items))


ODD = {
    "nothing odd": request(GOOD, OTHER),
    # Items and sub-items
    "an unknown item at the end": request(GOOD, users=USUAL + item(0x60, b"new")),
    "an unknown item between the contexts": request(GOOD, item(0x60, b"new"), OTHER),
    "an unknown item at the beginning": request(GOOD, application=item(0x99, b"") + item(0x10, APPLICATION_CONTEXT)),
    "an unknown sub-item of the user": _with(item(0x5F, b"new")),
    "an unknown sub-item without a value": _with(item(0x5F, b"")),
    "many unknown sub-items": _with(*[item(0x70 + number, bytes(number)) for number in range(100)]),
    "an unknown sub-item of a context": request(
        item(0x20, bytes([1, 0, 0, 0]) + item(0x30, VERIFICATION) + item(0x4F, b"new") + item(0x40, EXPLICIT))
    ),
    "reserved bytes that are not zero": request(
        item(0x20, bytes([1, 7, 7, 7]) + item(0x30, VERIFICATION, reserved=7) + item(0x40, EXPLICIT), reserved=7),
        reserved=b"\xff" * 32,
    ),
    "the user information before the contexts": request(extra=USUAL + GOOD, users=b""),
    "the application context at the end": request(GOOD, application=b"", users=USUAL + item(0x10, APPLICATION_CONTEXT)),
    "no context beside the good one": request(GOOD),
    "two user information items": request(GOOD, users=USUAL + user(maximum_length(4096))),
    "two application contexts": request(GOOD, application=2 * item(0x10, APPLICATION_CONTEXT)),
    "no user information": request(GOOD, users=b""),
    "user information without sub-items": request(GOOD, users=user()),
    "no implementation class UID": request(GOOD, users=user(maximum_length())),
    "zeros behind the last item": request(GOOD, users=USUAL + bytes(8)),
    # Application context
    "an application context with a NUL at its end": request(GOOD, application=item(0x10, APPLICATION_CONTEXT + b"\0")),
    "an application context with a space at its end": request(GOOD, application=item(0x10, APPLICATION_CONTEXT + b" ")),
    # AE titles
    "AE titles padded with NUL": request(GOOD, pad=b"\0"),
    "AE titles with leading spaces": request(GOOD, calling=b"  DCMTK", called=b"   GLAMNODE"),
    "AE titles with a NUL and remains behind it": request(GOOD, calling=b"DCMTK\0REMAINS", called=b"GLAMNODE\0OLD"),
    "another protocol version beside the first": request(GOOD, version=3),
    # Version name and class UID
    "a version name of 17 characters": _with(version_name(b"A" * 17)),
    "a version name of 200 characters": _with(version_name(b"A" * 200)),
    "an empty version name": _with(version_name(b"")),
    "a version name with a NUL at its end": _with(version_name(b"VERSION_1\0")),
    "a version name that is not ASCII": _with(version_name(b"V\xe9RSION\xff")),
    "a version name of spaces": _with(version_name(b"   ")),
    "a class UID with a NUL at its end": request(GOOD, users=user(maximum_length(), class_uid(b"1.2.3\0"))),
    "a class UID with leading zeros": request(GOOD, users=user(maximum_length(), class_uid(b"1.02.003"))),
    "a class UID that is none": request(GOOD, users=user(maximum_length(), class_uid(b"NONE"))),
    "an empty class UID": request(GOOD, users=user(maximum_length(), class_uid(b""))),
    "a class UID of 80 characters": request(GOOD, users=user(maximum_length(), class_uid(b"1." + b"2" * 78))),
    # Maximum length
    "no maximum length": request(GOOD, users=user(class_uid())),
    "a maximum length of 0": request(GOOD, users=user(maximum_length(0), class_uid())),
    "a maximum length of 4 GB": request(GOOD, users=user(maximum_length(0xFFFFFFFF), class_uid())),
    "a maximum length of 100": request(GOOD, users=user(maximum_length(100), class_uid())),
    "a maximum length of 12": request(GOOD, users=user(maximum_length(12), class_uid())),
    "a maximum length of 3": request(GOOD, users=user(maximum_length(3), class_uid())),
    "a maximum length that is odd": request(GOOD, users=user(maximum_length(16383), class_uid())),
    "two maximum lengths": _with(maximum_length(4096)),
    "a maximum length in two bytes": request(GOOD, users=user(item(0x51, b"\x40\0"), class_uid())),
    # Other sub-items
    "an asynchronous operations window": _with(item(0x53, struct.pack(">HH", 8, 8))),
    "a role for a class that is not proposed": _with(role(PUSH_MODEL, 1, 1)),
    "a role twice": _with(role(VERIFICATION, 1, 0), role(VERIFICATION, 1, 0)),
    "a role that is neither": _with(role(VERIFICATION, 0, 0)),
    "a role of 7": _with(role(VERIFICATION, 7, 7)),
    "a role that is cut": _with(item(0x54, struct.pack(">H", 40) + VERIFICATION)),
    "a user identity": _with(_IDENTITY),
    "a user identity of an unknown kind": _with(item(0x58, struct.pack(">BBH", 9, 1, 4) + b"user\0\0")),
    "an extended negotiation": _with(item(0x56, struct.pack(">H", len(MG)) + MG + b"\2\0\3\0\1\0")),
    "a common extended negotiation": _with(item(0x57, struct.pack(">H", len(MG)) + MG + struct.pack(">HH", 0, 0))),
    # One odd context in addition to the good one
    "an abstract syntax with a byte A0H": request(proposed(3, MG + b"\xa0", EXPLICIT), GOOD),
    "an abstract syntax of 80 characters": request(proposed(3, b"1." + b"2" * 78, EXPLICIT), GOOD),
    "an abstract syntax with a leading zero": request(proposed(3, b"1.02.3", EXPLICIT), GOOD),
    "an empty abstract syntax": request(proposed(3, b"", EXPLICIT), GOOD),
    "no abstract syntax": request(item(0x20, bytes([3, 0, 0, 0]) + item(0x40, EXPLICIT)), GOOD),
    "an empty transfer syntax": request(proposed(3, MG, b""), GOOD),
    "an empty transfer syntax beside a good one": request(proposed(3, MG, b"", EXPLICIT), GOOD),
    "a transfer syntax that is none": request(proposed(3, MG, b"EXPLICIT\xff"), GOOD),
    "no transfer syntax": request(proposed(3, MG), GOOD),
    "the same transfer syntax twice": request(proposed(3, MG, EXPLICIT, EXPLICIT), GOOD),
    "forty transfer syntaxes": request(
        proposed(3, MG, *[b"1.2.3.%d" % number for number in range(40)], EXPLICIT), GOOD
    ),
    "syntaxes with a NUL at their end": request(proposed(3, MG + b"\0", EXPLICIT + b"\0"), GOOD),
    "syntaxes with a space at their end": request(proposed(3, MG + b" ", EXPLICIT + b" "), GOOD),
    "syntaxes before the abstract syntax": request(
        item(0x20, bytes([3, 0, 0, 0]) + item(0x40, EXPLICIT) + item(0x30, MG)), GOOD
    ),
    "two abstract syntaxes in a context": request(
        item(0x20, bytes([3, 0, 0, 0]) + item(0x30, MG) + item(0x30, VERIFICATION) + item(0x40, EXPLICIT)), GOOD
    ),
    "an even context id": request(proposed(2, MG, EXPLICIT), GOOD),
    "a context id of 0": request(proposed(0, MG, EXPLICIT), GOOD),
    "the same context id twice": request(GOOD, proposed(1, MG, EXPLICIT)),
    "context ids that descend": request(proposed(255, MG, EXPLICIT), GOOD),
    "129 contexts": request(GOOD, *[proposed(2 * (number % 128) + 1, MG, EXPLICIT) for number in range(1, 129)]),
    "128 contexts": request(GOOD, *[proposed(2 * number + 1, MG, EXPLICIT, JPEG) for number in range(1, 128)]),
    "a context whose abstract syntax is cut": request(_CUT_CONTEXT, GOOD),
    "a context of two bytes": request(item(0x20, b"\3\0"), GOOD),
}
"""Odd requests by their oddity; each proposes the good context, which is accepted."""

REFUSED = {
    # A-ASSOCIATE-RJ: the application context is not DICOM's
    "an application context with another name": request(GOOD, application=item(0x10, APPLICATION_CONTEXT + b".9")),
    "no application context": request(GOOD, application=b""),
    "an empty application context": request(GOOD, application=item(0x10, b"")),
    "a protocol version without the first": request(GOOD, version=2),
    "only the fixed fields": request(application=b"", users=b""),
    # A-ABORT: an item is cut
    "an item that is longer than the request": request(GOOD, users=item(0x50, b"", length=60000)),
    "a sub-item that is longer than the user information": request(GOOD, users=user(item(0x52, b"1.2", length=500))),
    "half an item": request(GOOD, users=USUAL + b"\x60\0"),
    "fixed fields that are cut": struct.pack(">BBI", 1, 0, 20) + bytes(20),
}
"""Requests that are not accepted, by the reason."""
