"""Encoders of A-ASSOCIATE PDUs (PS3.8 9.3.2 and 9.3.3): arguments set the unusual parts, all other parts are valid."""

import struct

MG, VERIFICATION = b"1.2.840.10008.5.1.4.1.1.1.2", b"1.2.840.10008.1.1"
PUSH_MODEL = b"1.2.840.10008.1.20.1"
EXPLICIT, IMPLICIT, JPEG = b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.4.50"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"


def item(kind: int, value: bytes, length: int | None = None, reserved: int = 0) -> bytes:
    """Encode an item or sub-item; a given `length` replaces the true one."""
    return struct.pack(">BBH", kind, reserved, len(value) if length is None else length) + value


def proposed(context_id: int, abstract: bytes, *transfer: bytes) -> bytes:
    """Encode a presentation context of a request."""
    syntaxes = b"".join(item(0x40, one) for one in transfer)
    return item(0x20, bytes([context_id, 0, 0, 0]) + item(0x30, abstract) + syntaxes)


def answered(context_id: int, result: int, *transfer: bytes) -> bytes:
    """Encode a presentation context of an answer."""
    return item(0x21, bytes([context_id, 0, result, 0]) + b"".join(item(0x40, one) for one in transfer))


def user(*sub_items: bytes) -> bytes:
    """Encode a user information item."""
    return item(0x50, b"".join(sub_items))


def maximum_length(length: int = 16384) -> bytes:
    """Encode a maximum length sub-item: the longest P-DATA-TF that its sender accepts; 0 means no limit."""
    return item(0x51, struct.pack(">I", length))


def class_uid(uid: bytes = b"1.2.3") -> bytes:
    """Encode an implementation class UID sub-item."""
    return item(0x52, uid)


def version_name(name: bytes = b"TEST_1") -> bytes:
    """Encode an implementation version name sub-item."""
    return item(0x55, name)


def role(uid: bytes, scu: int, scp: int) -> bytes:
    """Encode an SCP/SCU role selection sub-item."""
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes([scu, scp]))


USUAL = user(maximum_length(), class_uid(), version_name())


def request(
    *contexts: bytes,
    users: bytes = USUAL,
    application: bytes = item(0x10, APPLICATION_CONTEXT),
    extra: bytes = b"",
    calling: bytes = b"DCMTK",
    called: bytes = b"GLAMNODE",
    pad: bytes = b" ",
    version: int = 1,
    reserved: bytes = bytes(32),
    length: int | None = None,
) -> bytes:
    """Encode an A-ASSOCIATE-RQ; a given `length` replaces the true one."""
    body = struct.pack(">HH", version, 0) + called.ljust(16, pad)[:16] + calling.ljust(16, pad)[:16] + reserved
    body += application + b"".join(contexts) + extra + users
    return struct.pack(">BBI", 1, 0, len(body) if length is None else length) + body


def acceptance(
    *contexts: bytes,
    users: bytes = USUAL,
    application: bytes = item(0x10, APPLICATION_CONTEXT),
    extra: bytes = b"",
    titles: bytes = bytes(32),
    version: int = 1,
    reserved: bytes = bytes(32),
    length: int | None = None,
) -> bytes:
    """Encode an A-ASSOCIATE-AC; a given `length` replaces the true one."""
    body = struct.pack(">HH", version, 0) + titles + reserved + application + b"".join(contexts) + extra + users
    return struct.pack(">BBI", 2, 0, len(body) if length is None else length) + body
