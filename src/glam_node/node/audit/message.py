"""The elements of a DICOM audit message (PS3.15 A.5.1.1) and their XML."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from xml.etree import ElementTree

# XML 1.0, production [2]. Names that peers choose may contain characters that XML does not allow.
_NO_CHARACTER_OF_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value (CodedValueType)."""

    value: str
    scheme: str
    meaning: str


class Outcome(StrEnum):
    """The outcome of an event (EventOutcomeIndicator)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event (EventIdentification)."""

    event_id: Code
    action: str
    at: datetime
    outcome: Outcome = Outcome.SUCCESS
    event_type: Code | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """A person or process that takes part in an event (ActiveParticipant)."""

    user_id: str
    is_requestor: bool
    ae_title: str = ""
    user_name: str = ""
    host: str = ""
    """IP address or host name; empty if unknown."""
    role: Code | None = None
    media_type: Code | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """The node that reports events (AuditSourceIdentification), and its host."""

    ae_title: str
    enterprise_site_id: str
    host: str


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """A study, patient or other object of an event (ParticipantObjectIdentification)."""

    object_id: str
    id_type: Code
    type_code: str
    name: str
    role: str = ""
    details: tuple[tuple[str, str], ...] = ()
    """Pairs of type and value."""
    instances: tuple[tuple[str, int], ...] = ()
    """Pairs of SOP class UID and number of instances."""
    query: str = ""
    """The content of a query, which replaces the name; empty for other objects."""


def encode(
    event: AuditEvent,
    participants: tuple[Participant, ...],
    reporter: Reporter,
    objects: tuple[ParticipantObject, ...] = (),
) -> bytes:
    """Encode an audit message as XML in UTF-8 that is valid against the schema of PS3.15 A.5.1.1."""
    root = ElementTree.Element("AuditMessage")
    _event(root, event)
    for participant in participants:
        _participant(root, participant)
    attributes = {"AuditEnterpriseSiteID": reporter.enterprise_site_id, "AuditSourceID": reporter.ae_title}
    source = _element(root, "AuditSourceIdentification", attributes)
    _element(source, "AuditSourceTypeCode", {"csd-code": "4"})
    for described in objects:
        _object(root, described)
    encoded: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return encoded


def _event(root: ElementTree.Element, event: AuditEvent) -> None:
    element = _element(
        root,
        "EventIdentification",
        {
            "EventActionCode": event.action,
            "EventDateTime": event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "EventOutcomeIndicator": event.outcome,
        },
    )
    _code(element, "EventID", event.event_id)
    _code(element, "EventTypeCode", event.event_type)
    if event.description:
        _element(element, "EventOutcomeDescription", {}).text = _printable(event.description)


def _participant(root: ElementTree.Element, participant: Participant) -> None:
    element = _element(
        root,
        "ActiveParticipant",
        {
            "UserID": participant.user_id,
            "AlternativeUserID": f"AETITLES={participant.ae_title}" if participant.ae_title else "",
            "UserName": participant.user_name,
            "UserIsRequestor": "true" if participant.is_requestor else "false",
            "NetworkAccessPointID": participant.host,
            "NetworkAccessPointTypeCode": _access_point_type(participant.host),
        },
        mandatory=("UserID",),
    )
    _code(element, "RoleIDCode", participant.role)
    if participant.media_type is not None:
        _code(_element(element, "MediaIdentifier", {}), "MediaType", participant.media_type)


def _access_point_type(host: str) -> str:
    """Return the NetworkAccessPointTypeCode: "1" for a host name, "2" for an IP address, empty if unknown."""
    try:
        ip_address(host)
    except ValueError:
        return "1" if host else ""
    return "2"


def _object(root: ElementTree.Element, described: ParticipantObject) -> None:
    element = _element(
        root,
        "ParticipantObjectIdentification",
        {
            "ParticipantObjectID": described.object_id,
            "ParticipantObjectTypeCode": described.type_code,
            "ParticipantObjectTypeCodeRole": described.role,
        },
        mandatory=("ParticipantObjectID",),
    )
    _code(element, "ParticipantObjectIDTypeCode", described.id_type)
    if described.query:
        _element(element, "ParticipantObjectQuery", {}).text = _base64(described.query)
    else:
        _element(element, "ParticipantObjectName", {}).text = _printable(described.name)
    for kind, value in described.details:
        _element(element, "ParticipantObjectDetail", {"type": kind, "value": _base64(value)}, mandatory=("value",))
    if described.instances:
        description = _element(element, "ParticipantObjectDescription", {})
        for sop_class_uid, count in described.instances:
            _element(description, "SOPClass", {"UID": sop_class_uid, "NumberOfInstances": str(count)})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _code(parent: ElementTree.Element, name: str, code: Code | None) -> None:
    if code is not None:
        attributes = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
        _element(parent, name, attributes)


def _element(
    parent: ElementTree.Element, name: str, attributes: dict[str, str], mandatory: tuple[str, ...] = ()
) -> ElementTree.Element:
    """Append an element with the attributes that are mandatory or not empty."""
    stated = {key: _printable(value) for key, value in attributes.items() if value or key in mandatory}
    return ElementTree.SubElement(parent, name, stated)


def _printable(text: str) -> str:
    return _NO_CHARACTER_OF_XML.sub("\ufffd", text)
