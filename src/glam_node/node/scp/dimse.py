"""DIMSE command sets: group 0000 in Implicit VR Little Endian (PS3.7 section 6.3)."""

import struct
from dataclasses import dataclass

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
N_EVENT_REPORT_RQ = 0x0100
N_ACTION_RQ = 0x0130
RESPONSE = 0x8000
NO_DATA_SET = 0x0101
# PS3.7 Annex C and PS3.4 Table B.2-1
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT_VALUE = 0x0115
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
UNRECOGNIZED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
LONGEST_UID = LONGEST_COMMENT = 64

_AFFECTED_SOP_CLASS_UID, _COMMAND_FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _ERROR_COMMENT, _AFFECTED_SOP_INSTANCE_UID = 0x0800, 0x0900, 0x0902, 0x1000
_REQUESTED_SOP_CLASS_UID, _REQUESTED_SOP_INSTANCE_UID = 0x0003, 0x1001
# Element numbers of Action Type ID and Event Type ID
_TYPES = {N_ACTION_RQ: 0x1008, N_EVENT_REPORT_RQ: 0x1002}


class MalformedCommand(Exception):
    """The bytes are not a valid command set."""


@dataclass(frozen=True, slots=True)
class Command:
    """A DIMSE request."""

    command_field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    """Affected or Requested SOP Class UID; empty if it is absent."""
    sop_instance_uid: str
    type_id: int = 0
    """Action Type ID or Event Type ID; 0 in commands that have none."""


def decode(encoded: bytes) -> Command:
    """Decode a request.

    Raises:
        MalformedCommand: The bytes are not a command set, or they are a response.
    """
    elements: dict[int, bytes] = {}
    offset = 0
    while offset < len(encoded):
        if offset + 8 > len(encoded):
            raise MalformedCommand("cut inside an element")
        group, element, length = struct.unpack_from("<HHI", encoded, offset)
        offset += 8
        if group != 0 or offset + length > len(encoded):
            raise MalformedCommand("an element outside group 0000, or longer than the command set")
        elements[element] = encoded[offset : offset + length]
        offset += length
    command_field = _number(elements, _COMMAND_FIELD)
    if command_field & RESPONSE:
        raise MalformedCommand("a response without a request")
    cancels = command_field == C_CANCEL_RQ
    return Command(
        command_field=command_field,
        message_id=_number(elements, _RESPONDED_TO if cancels else _MESSAGE_ID),
        has_data_set=_number(elements, _DATA_SET_TYPE) != NO_DATA_SET,
        sop_class_uid=_uid(elements, _AFFECTED_SOP_CLASS_UID, _REQUESTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(elements, _AFFECTED_SOP_INSTANCE_UID, _REQUESTED_SOP_INSTANCE_UID),
        type_id=_number(elements, _TYPES[command_field]) if command_field in _TYPES else 0,
    )


def response(command: Command, status: int, comment: str = "") -> bytes:
    """Encode the response to a command.

    Args:
        command: The request.
        status: The status (PS3.7 Annex C).
        comment: Error Comment (LO), cut to 64 characters; empty for none.
    """
    body = b""
    if command.sop_class_uid:
        body += _element(_AFFECTED_SOP_CLASS_UID, _padded(command.sop_class_uid[:LONGEST_UID], b"\0"))
    body += _element(_COMMAND_FIELD, struct.pack("<H", command.command_field | RESPONSE))
    body += _element(_RESPONDED_TO, struct.pack("<H", command.message_id))
    body += _element(_DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET))
    body += _element(_STATUS, struct.pack("<H", status))
    if comment:
        body += _element(_ERROR_COMMENT, _padded(comment[:LONGEST_COMMENT], b" "))
    if command.sop_instance_uid:
        body += _element(_AFFECTED_SOP_INSTANCE_UID, _padded(command.sop_instance_uid[:LONGEST_UID], b"\0"))
    if command.command_field in _TYPES:
        body += _element(_TYPES[command.command_field], struct.pack("<H", command.type_id))
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _number(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != 2:
        raise MalformedCommand(f"(0000,{element:04X}) is missing or not one US")
    return int.from_bytes(value, "little")


def _uid(elements: dict[int, bytes], *either: int) -> str:
    value = next((elements[element] for element in either if element in elements), b"")
    return value.decode("ascii", "replace").strip("\0 ")


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _padded(text: str, pad: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + pad * (len(value) % 2)
