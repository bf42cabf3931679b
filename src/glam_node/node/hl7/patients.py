"""Patients in HL7 v2 messages: PID, and the prior identifiers of a merge (MRG)."""

import re
from datetime import datetime

from glam_node.node.domain.patient_change import PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.hl7.answer import Rejected
from glam_node.node.hl7.message import Message, Segment, component_of

_MOST_IDENTIFIERS = 32
_MOST_MERGES = 1000
_LONGEST_VALUE = 256
"""Number of characters of the longest ID, which databases can index; Patient ID has at most 64 in DICOM."""
_LONGEST_NAME = 1024
NOT_STORABLE = f"is longer than {_LONGEST_VALUE} characters or contains a NUL character"
_GROUPS = {"I": 1, "P": 2}
"""Place of an ideographic and a phonetic name (HL7 table 4000) in a name of DICOM."""
_NULL = '""'
_NOT_NAMES = ("A", "C", "M", "N", "S", "U")
"""Types of names (HL7 table 0200) that are not the legal or display name: alias, adopted, maiden and the like."""


def stated_patient(message: Message) -> StatedPatient:
    """Return the patient of a message.

    Raises:
        Rejected: The message has no PID, or PID-3 has no ID.
    """
    segment = message.first("PID")
    if segment is None:
        raise Rejected("The message has no segment PID.", "100", "PID")
    found = identifiers(segment, 3)
    if not found:
        raise Rejected("PID-3 has no patient ID.", "101", "PID", 3)
    name, sex = _name(segment), segment.component(8).strip().upper()
    if len(name) > _LONGEST_NAME:
        raise Rejected(f"PID-5 has a name of more than {_LONGEST_NAME} characters.", "102", "PID", 5)
    return StatedPatient(found, name, _date(segment.component(7)), sex if sex in ("M", "F", "O") else "")


def merges(message: Message) -> list[PatientMerge]:
    """Return the merges that an ADT^A40 states, which may contain several pairs of PID and MRG.

    Raises:
        Rejected: A PID has no MRG, or an identifier is missing.
    """
    found: list[PatientMerge] = []
    surviving: StatedPatient | None = None
    for segment in message.segments:
        if segment.name == "PID":
            surviving = stated_patient(Message((message.header, segment)))
        elif segment.name == "MRG":
            prior = identifiers(segment, 1)
            if surviving is None or not prior:
                raise Rejected("MRG-1 has no prior patient ID, or MRG does not follow a PID.", "101", "MRG", 1)
            found += [PatientMerge(one, surviving) for one in prior if one not in surviving.identifiers]
            surviving = None
    if not found:
        raise Rejected("The message has no MRG with a prior patient ID that differs from PID-3.", "100", "MRG")
    if len(found) > _MOST_MERGES:
        raise Rejected(f"The message has more than {_MOST_MERGES} merges.", "100", "MRG")
    return found


def identifiers(segment: Segment, field: int) -> tuple[PatientIdentifier, ...]:
    """Return the identifiers (CX) of a field that have a value, each once.

    Raises:
        Rejected: An ID or its assigning authority cannot be stored.
    """
    found = [_identifier(one, segment.separators) for one in segment.repetitions(field)[:_MOST_IDENTIFIERS]]
    if not all(is_storable(text) for one in found for text in (one.value, one.authority, one.universal_id)):
        place = f"{segment.name}-{field}"
        raise Rejected(f"{place} has an ID or authority that {NOT_STORABLE}.", "102", segment.name, field)
    return tuple(dict.fromkeys(one for one in found if one.value and one.value != _NULL))


def is_storable(value: str) -> bool:
    """Return whether every database can store and index a value."""
    return len(value) <= _LONGEST_VALUE and "\0" not in value


def _identifier(repetition: str, separators: str) -> PatientIdentifier:
    value = component_of(repetition, 1, separators).strip()
    components = repetition.split(separators[0])
    authority = components[3] if len(components) > 3 else ""
    parts = [component_of(authority, number, separators[3] * 4).strip() for number in (1, 2)]
    return PatientIdentifier(value, *parts)


def _name(segment: Segment) -> str:
    """Return PID-5 in the form of DICOM: family, given, middle, prefix and suffix, with other scripts after `=`."""
    groups = ["", "", ""]
    for repetition in segment.repetitions(5):
        parts = [component_of(repetition, number, segment.separators).strip() for number in range(1, 9)]
        if parts[6] in _NOT_NAMES or parts[0] == _NULL:
            continue
        place = _GROUPS.get(parts[7], 0)
        # The family name has subcomponents (FN), of which the first is the whole name.
        family = component_of(repetition.split(segment.separators[0])[0], 1, segment.separators[3] * 4).strip()
        given, middle, suffix, prefix = ("" if one == _NULL else one for one in parts[1:5])
        name = "^".join(_component(one) for one in (family, given, middle, prefix, suffix)).rstrip("^")
        groups[place] = groups[place] or name
    return "=".join(groups).rstrip("=")


def _component(text: str) -> str:
    """Return text without the characters that divide a name of DICOM."""
    return re.sub(r"[\^=\\\x00-\x1f\x7f]", " ", text).strip()


def _date(text: str) -> str:
    """Return the date at the beginning of a TS as YYYYMMDD; empty if there is none, since results may state it."""
    found = re.match(r"[0-9]{8}", text.strip())
    try:
        return f"{datetime.strptime(found[0], '%Y%m%d'):%Y%m%d}" if found else ""  # noqa: DTZ007
    except ValueError:
        return ""
