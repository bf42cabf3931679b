"""Text in HL7 v2 fields: escape sequences (HL7 2.5.1, chapter 2.7) and fields of several components.

python-hl7 0.4.5 escapes every character beyond ASCII, whatever MSH-18 declares, so the node escapes by itself.
"""

import re

FIELD, COMPONENT, REPETITION, ESCAPE, SUBCOMPONENT = "|^~\\&"
ENCODING_CHARACTERS = COMPONENT + REPETITION + ESCAPE + SUBCOMPONENT
_NAMED = {FIELD: "F", COMPONENT: "S", REPETITION: "R", ESCAPE: "E", SUBCOMPONENT: "T"}
_SPECIAL = re.compile(r"[|^~\\&\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"\\(?:([FSRET])|X((?:[0-9A-Fa-f]{2}){1,64}))\\")
_MEANT = {name: character for character, name in _NAMED.items()}


class Encoded(str):
    """Text that is escaped already and may contain separators, such as a field of several components."""

    __slots__ = ()


def escape(value: object) -> Encoded:
    """Return a value as text for a field, with separators and control characters escaped; Encoded stays unchanged."""
    if isinstance(value, Encoded):
        return value
    return Encoded(_SPECIAL.sub(_escape_sequence, "" if value is None else str(value)))


def unescape(text: str) -> str:
    """Return the text that an escaped field stands for; sequences for highlighting and the like stay unchanged."""
    return _ESCAPED.sub(lambda match: _MEANT.get(match[1]) or _characters(match[2]), text)


def components(*values: object, separator: str = COMPONENT) -> Encoded:
    """Return a field of several components, without the separators after the last component that has a value."""
    return Encoded(separator.join(escape(value) for value in values).rstrip(separator))


def repetitions(*fields: Encoded) -> Encoded:
    """Return a field with several repetitions."""
    return Encoded(REPETITION.join(fields))


def _escape_sequence(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{_NAMED[character] if character in _NAMED else f'X{ord(character):02X}'}\\"


def _characters(hexadecimal: str) -> str:
    return bytes.fromhex(hexadecimal).decode("latin-1")
