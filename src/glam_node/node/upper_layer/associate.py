"""A-ASSOCIATE PDUs (PS3.8 9.3.2 and 9.3.3), read as tolerantly as possible and written strictly."""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

ASSOCIATE_RQ, ASSOCIATE_AC = 1, 2
# PS3.7 A.2.1
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
FIXED_LENGTH = 68
"""Length in bytes of the fixed fields, which precede the variable items."""
# PS3.8 Table 9-18: results of a presentation context
ACCEPTED, USER_REJECTION, NO_REASON, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = range(5)

_APPLICATION, _PROPOSED, _ANSWERED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_MAXIMUM_LENGTH, _CLASS_UID, _ROLE, _VERSION_NAME, _USER_IDENTITY = 0x51, 0x52, 0x54, 0x55, 0x58
# PS3.7 Table D.3-14
_USERNAME_AND_PASSCODE = 2
_LONGEST_UID = 64
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_DEFAULT_TRANSFER_SYNTAX = "1.2.840.10008.1.2"


class MalformedAssociate(Exception):
    """The fixed fields or an item of an A-ASSOCIATE PDU are truncated."""


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context, proposed in an A-ASSOCIATE-RQ or answered in an A-ASSOCIATE-AC."""

    context_id: int
    abstract_syntax: str = ""
    """The UID; empty in an answer, and if the request states none that can be read."""
    transfer_syntaxes: tuple[str, ...] = ()
    """The UIDs that can be read."""
    result: int = ACCEPTED
    """The result in an answer (PS3.8 Table 9-18); ACCEPTED in a request."""


@dataclass(frozen=True, slots=True)
class Associate:
    """The items of an A-ASSOCIATE PDU that this node uses; it ignores all others (PS3.8 9.3.1 and D.2)."""

    application_context: str = APPLICATION_CONTEXT
    contexts: tuple[Context, ...] = ()
    """Presentation contexts with distinct IDs; if several have the same ID, the first one."""
    maximum_length: int = 0
    """Maximum length in bytes of a P-DATA-TF that the sender of the PDU accepts; 0 for no limit."""
    roles: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """SCU role and SCP role, each 0 or 1, by SOP class UID (PS3.7 D.3.3.4)."""
    pass_code: str = ""
    """Pass code of a user identity with user name and pass code (PS3.7 D.3.3.7); empty for none."""


def decode(body: bytes | memoryview) -> Associate:
    """Decode the body of an A-ASSOCIATE-RQ or A-ASSOCIATE-AC.

    Unknown items are skipped. A presentation context that cannot be read does not affect the others.

    Args:
        body: The PDU without its header of 6 bytes.

    Raises:
        MalformedAssociate: The fixed fields or an item are truncated.
    """
    if len(body) < FIXED_LENGTH:
        raise MalformedAssociate("the fixed fields are cut")
    application_context = ""
    contexts: dict[int, Context] = {}
    users: list[bytes] = []
    for kind, value in _items(bytes(body[FIXED_LENGTH:])):
        if kind == _APPLICATION:
            application_context = application_context or _uid(value)
        elif kind in (_PROPOSED, _ANSWERED) and value:
            context = _context(value, kind)
            contexts.setdefault(context.context_id, context)
        elif kind == _USER:
            users.append(value)
    maximum_length, roles, pass_code = _user_information(users)
    return Associate(application_context, tuple(contexts.values()), maximum_length, roles, pass_code)


def _items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of every item. Raises MalformedAssociate if an item is truncated."""
    offset = 0
    while offset < len(encoded):
        if offset + 4 > len(encoded):
            raise MalformedAssociate("an item is cut")
        kind, _, length = struct.unpack_from(">BBH", encoded, offset)
        offset += 4 + length
        if offset > len(encoded):
            raise MalformedAssociate(f"an item of type {kind:02X}H is longer than the item or PDU that contains it")
        yield kind, encoded[offset - length : offset]


def _context(value: bytes, kind: int) -> Context:
    """Decode a presentation context; leave out the UIDs that cannot be read."""
    context_id, result = value[0], value[2] if len(value) > 2 and kind == _ANSWERED else ACCEPTED
    abstract, transfer = "", []
    try:
        for sub_kind, sub_value in _items(value[4:]):
            if sub_kind == _ABSTRACT:
                abstract = abstract or _uid(sub_value)
            elif sub_kind == _TRANSFER:
                transfer.append(_uid(sub_value))
    except MalformedAssociate:
        abstract, transfer = "", []
    return Context(context_id, abstract, tuple(uid for uid in dict.fromkeys(transfer) if uid), result)


def _user_information(items: Iterable[bytes]) -> tuple[int, dict[str, tuple[int, int]], str]:
    """Return the maximum length, the roles by SOP class UID and the pass code; the first of each counts."""
    lengths: list[int] = []
    pass_codes: list[str] = []
    roles: dict[str, tuple[int, int]] = {}
    for encoded in items:
        for kind, value in _items(encoded):
            if kind == _MAXIMUM_LENGTH and len(value) == 4:
                lengths.append(int.from_bytes(value, "big"))
            elif kind == _ROLE and len(value) >= 4 and len(value) == 4 + int.from_bytes(value[:2], "big"):
                roles.setdefault(_uid(value[2:-2]), (value[-2], value[-1]))
            elif kind == _USER_IDENTITY:
                pass_codes.append(_pass_code(value))
    return next(iter(lengths), 0), roles, next(iter(pass_codes), "")


def _pass_code(value: bytes) -> str:
    """Return the pass code of a user identity (PS3.7 Table D.3-14); empty if it has none or is truncated."""
    if len(value) < 4 or value[0] != _USERNAME_AND_PASSCODE:
        return ""
    rest = value[4 + int.from_bytes(value[2:4], "big") :]
    length = int.from_bytes(rest[:2], "big")
    return rest[2 : 2 + length].decode("ascii", "replace") if len(rest) >= 2 + length else ""


def _uid(value: bytes) -> str:
    """Return the UID without its padding, or an empty string if the bytes are not a UID."""
    text = value.decode("ascii", "replace").strip("\0 ")
    return text if len(text) <= _LONGEST_UID and _UID.fullmatch(text) else ""


def encode(pdu_type: int, fixed: bytes, associate: Associate, class_uid: str, version_name: str = "") -> bytes:
    """Encode an A-ASSOCIATE-RQ or A-ASSOCIATE-AC PDU.

    Args:
        pdu_type: ASSOCIATE_RQ or ASSOCIATE_AC.
        fixed: The bytes before the variable items: protocol version, AE titles, reserved bytes.
        associate: The variable items.
        class_uid: Implementation Class UID.
        version_name: Implementation Version Name; empty for none.
    """
    contexts = b"".join(_encoded(context, pdu_type) for context in associate.contexts)
    user = _item(_MAXIMUM_LENGTH, struct.pack(">I", associate.maximum_length)) + _uid_item(_CLASS_UID, class_uid)
    for uid, roles in associate.roles.items():
        user += _item(_ROLE, struct.pack(">H", len(uid)) + uid.encode("ascii") + bytes(roles))
    user += _item(_VERSION_NAME, version_name.encode("ascii")) if version_name else b""
    body = fixed + _uid_item(_APPLICATION, associate.application_context) + contexts + _item(_USER, user)
    return struct.pack(">BBI", pdu_type, 0, len(body)) + body


def _encoded(context: Context, pdu_type: int) -> bytes:
    """Encode a presentation context; a refused one states a transfer syntax, which receivers must ignore."""
    syntaxes = context.transfer_syntaxes or (_DEFAULT_TRANSFER_SYNTAX,)
    transfer = b"".join(_uid_item(_TRANSFER, uid) for uid in syntaxes)
    if pdu_type == ASSOCIATE_AC:
        return _item(_ANSWERED, bytes([context.context_id, 0, context.result, 0]) + transfer)
    abstract = _uid_item(_ABSTRACT, context.abstract_syntax)
    return _item(_PROPOSED, bytes([context.context_id, 0, 0, 0]) + abstract + transfer)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _uid_item(kind: int, uid: str) -> bytes:
    return _item(kind, uid.encode("ascii"))
