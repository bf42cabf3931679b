"""HL7 v2 messages as segments and fields, and the acknowledgement in a message (HL7 2.5.1, chapter 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.node.hl7.text import unescape

CHARACTER_SETS: Mapping[str, tuple[str, str]] = {
    "utf-8": ("UNICODE UTF-8", "utf-8"),
    "iso-8859-1": ("8859/1", "iso-8859-1"),
    "iso-8859-2": ("8859/2", "iso-8859-2"),
    "iso-8859-5": ("8859/5", "iso-8859-5"),
    "iso-8859-7": ("8859/7", "iso-8859-7"),
    "iso-8859-9": ("8859/9", "iso-8859-9"),
    "iso-8859-15": ("8859/15", "iso-8859-15"),
}
"""Term of HL7 table 0211 for MSH-18, and codec, by the name in the settings."""
_CODECS = {term: codec for term, codec in CHARACTER_SETS.values()} | {"ASCII": "ascii", "UTF-8": "utf-8"}

ACCEPTED = frozenset({"AA", "CA"})
FAILED = frozenset({"AE", "CE"})
REJECTED = frozenset({"AR", "CR"})


class NotHL7(Exception):
    """The bytes are no HL7 v2 message; the message of the error contains none of them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name is field 0; of MSH, field 1 is the separator, so that fields have their numbers."""

    fields: tuple[str, ...]
    separators: str
    """The component, repetition, escape and subcomponent separators."""

    @property
    def name(self) -> str:
        """The three letters of the segment."""
        return self.fields[0]

    def field(self, number: int) -> str:
        """Return a field as it is encoded; empty if the segment is shorter."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """Return the repetitions of a field that are not empty, as they are encoded."""
        return [one for one in self.field(number).split(self.separators[1]) if one]

    def component(self, number: int, component: int = 1) -> str:
        """Return a component of the first repetition of a field as text; empty if there is none."""
        first = next(iter(self.repetitions(number)), "")
        return component_of(first, component, self.separators)


def component_of(field: str, component: int, separators: str = "^~\\&") -> str:
    """Return a component of an encoded field as text; empty if there is none."""
    parts = field.split(separators[0])
    return unescape(parts[component - 1]) if component <= len(parts) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its segments in order, the first of which is MSH."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """The segment MSH."""
        return self.segments[0]

    @property
    def control_id(self) -> str:
        """MSH-10, by which the acknowledgement names the message."""
        return self.header.component(10)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of this name, or None."""
        return next((segment for segment in self.segments if segment.name == name), None)


def parse(data: bytes, undeclared: str = "") -> Message:
    """Return the message in these bytes, decoded by the character set that MSH-18 declares.

    Segments may end with CR, as the standard says, or with LF or both, as some systems send.

    Args:
        data: The message, without its frame.
        undeclared: Codec of a message that declares none; empty for UTF-8 if it can be, else ISO 8859-1.

    Raises:
        NotHL7: The bytes are no message, or are not in the character set that they declare.
    """
    separator, encoding = _separators(data)
    try:
        text = data.decode(_codec(data, separator, undeclared))
    except LookupError:
        known = ", ".join(_CODECS)
        raise NotHL7(f"declares in MSH-18 a character set that the node does not know. It knows {known}") from None
    except UnicodeDecodeError:
        raise NotHL7("is not in the character set that MSH-18 declares") from None
    lines = [line for line in text.replace("\n", "\r").split("\r") if line.strip()]
    segments = [Segment(tuple(line.split(separator)), encoding) for line in lines]
    header = segments[0]
    segments[0] = Segment((header.fields[0], separator, *header.fields[1:]), encoding)
    return Message(tuple(segments))


def parse_header(data: bytes) -> Message:
    """Return only the MSH of a message, whose bytes may be cut short or in an unknown character set; raise NotHL7."""
    separator, encoding = _separators(data)
    first = data.replace(b"\n", b"\r").split(b"\r", 1)[0].decode("latin-1")
    name, *fields = first.split(separator)
    return Message((Segment((name, separator, *fields), encoding),))


def _separators(data: bytes) -> tuple[str, str]:
    if not data.startswith(b"MSH") or len(data) < 8:
        raise NotHL7("does not begin with MSH")
    separator = data[3:4].decode("latin-1")
    encoding = data[4:8].decode("latin-1")
    if separator.isalnum() or separator < " " or len(set(separator + encoding)) != 5:
        raise NotHL7("declares no usable separators in MSH-1 and MSH-2")
    return separator, encoding


def _codec(data: bytes, separator: str, undeclared: str) -> str:
    """Return the codec that MSH-18 declares; a message that declares none is UTF-8 if it can be."""
    fields = data.replace(b"\n", b"\r").split(b"\r", 1)[0].decode("latin-1").split(separator)
    stated = fields[17].split(fields[1][1:2] or "~")[0].strip() if len(fields) > 17 else ""
    if stated:
        return _CODECS[stated.upper()]
    if undeclared:
        return undeclared
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer to a message: MSA, and the first ERR segment."""

    code: str
    """MSA-1: AA, AE or AR in original mode, CA, CE or CR in enhanced mode."""
    control_id: str
    """MSA-2: MSH-10 of the message that is acknowledged."""
    error: str = ""
    """Code of the error (ERR-3, in HL7 table 0357); empty if it is not stated."""
    place: str = ""
    """Place of the error in the message, such as PID-3 (ERR-2); empty if it is not stated."""
    text: str = ""
    """Words of the other side (ERR-8 or MSA-3), which may name the patient."""


def acknowledgement_in(data: bytes) -> Acknowledgement | None:
    """Return the acknowledgement in these bytes, or None if they contain none."""
    try:
        message = parse(data)
    except NotHL7:
        return None
    answer, error = message.first("MSA"), message.first("ERR")
    if answer is None:
        return None
    code, control_id = answer.field(1).strip().upper(), answer.component(2)
    if error is None:
        return Acknowledgement(code, control_id, text=answer.component(3))
    segment, number = error.component(2), error.component(2, 3)
    place = f"{segment}-{number}" if number.isdigit() else segment
    text = error.component(8) or answer.component(3)
    return Acknowledgement(
        code, control_id, error.component(3), place if place.replace("-", "").isalnum() else "", text
    )
