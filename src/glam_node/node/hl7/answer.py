"""Acknowledgements that the node writes (HL7 2.5.1, chapter 2.9): MSH, MSA, and ERR if the message is not accepted."""

from dataclasses import dataclass
from datetime import datetime

from glam_node.node.hl7.message import Message
from glam_node.node.hl7.text import ENCODING_CHARACTERS, components, escape

_MEANINGS = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "204": "Unknown key identifier",
    "207": "Application internal error",
}
"""HL7 table 0357."""
_ENHANCED = ("AL", "SU", "ER")


class Rejected(Exception):
    """A message that the node will never accept; the text names fields and settings, and no value of a patient."""

    def __init__(self, text: str, code: str, segment: str = "", field: int = 0) -> None:
        super().__init__(text)
        self.code = code
        """Error in HL7 table 0357."""
        self.segment, self.field = segment, field


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a message, before it is encoded."""

    code: str
    """AA, AE or AR."""
    text: str = ""
    error: str = ""
    """Code of the error in HL7 table 0357; empty if the message is accepted."""
    segment: str = ""
    field: int = 0


def rejection(error: Rejected) -> Reply:
    """Return the reply to a message that is rejected."""
    return Reply("AR", str(error), error.code, error.segment, error.field)


def encoded_reply(reply: Reply, message: Message, control_id: str, now: datetime) -> bytes:
    """Return the acknowledgement as bytes, in ASCII; a message that asks for accept acknowledgements gets CA, CE or CR.

    Args:
        reply: The answer.
        message: The message, or what could be read of it: at least MSH.
        control_id: MSH-10 of the acknowledgement.
        now: The time of the acknowledgement.
    """
    header = message.header
    code = f"C{reply.code[1]}" if header.field(15).strip() in _ENHANCED else reply.code
    names = [_plain(header.component(number)) for number in (5, 6, 3, 4)]
    event, stated_version = _plain(header.component(9, 2)), _plain(header.component(12))
    version = stated_version if stated_version.startswith("2.") else "2.5.1"
    kind = components("ACK", event, "ACK") if event else "ACK"
    processing = _plain(header.component(11)) or "P"
    head = ["MSH", ENCODING_CHARACTERS, *names, now.strftime("%Y%m%d%H%M%S%z"), "", kind, control_id, processing]
    segments = ["|".join([*head, version]), f"MSA|{code}|{_plain(message.control_id)}"]
    if reply.text:
        segments[-1] += f"|{_plain(reply.text[:80])}"
    if reply.error:
        place = components(reply.segment, "1" if reply.segment else "", reply.field or "")
        error = components(reply.error, _MEANINGS[reply.error], "HL70357")
        segments.append(f"ERR||{place}|{error}|E||||{_plain(reply.text)}")
    return "".join(f"{one}\r" for one in segments).encode("ascii")


def _plain(text: str) -> str:
    return escape(text.encode("ascii", "replace").decode("ascii"))
