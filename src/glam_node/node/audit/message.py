"""The elements of a DICOM audit message (PS3.15 A.5.1.1) and their XML."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from xml.etree import ElementTree

# XML 1.0, production [2]: a peer may call itself anything, an XML parser must still read of it.
_NO_CHARACTER_OF_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Code:
    """CodedValueType."""

    value: str
    scheme: str
    meaning: str


class Outcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """EventIdentification."""

    event_id: Code
    action: str
    at: datetime
    outcome: Outcome = Outcome.SUCCESS
    event_type: Code | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """ActiveParticipant."""

    user_id: str
    is_requestor: bool
    ae_title: str = ""
    user_name: str = ""
    host: str = ""
    """Its address or name."""
    role: Code | None = None
    media_type: Code | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """AuditSourceIdentification, and where it is."""

    ae_title: str
    enterprise_site_id: str
    host: str


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """ParticipantObjectIdentification; `instances` is by SOP class."""

    object_id: str
    id_type: Code
    type_code: str
    name: str
    role: str = ""
    details: tuple[tuple[str, str], ...] = ()
    instances: tuple[tuple[str, int], ...] = ()


def encode(
    event: AuditEvent,
    participants: tuple[Participant, ...],
    reporter: Reporter,
    objects: tuple[ParticipantObject, ...] = (),
) -> bytes:
    """The message as XML in UTF-8, valid by the schema of PS3.15 A.5.1.1."""
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
    """1: a name, 2: an address."""
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
    _element(element, "ParticipantObjectName", {}).text = _printable(described.name)
    for kind, value in described.details:
        encoded = base64.b64encode(value.encode("utf-8", "replace")).decode("ascii")
        _element(element, "ParticipantObjectDetail", {"type": kind, "value": encoded}, mandatory=("value",))
    if described.instances:
        description = _element(element, "ParticipantObjectDescription", {})
        for sop_class_uid, count in described.instances:
            _element(description, "SOPClass", {"UID": sop_class_uid, "NumberOfInstances": str(count)})


def _code(parent: ElementTree.Element, name: str, code: Code | None) -> None:
    if code is not None:
        attributes = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
        _element(parent, name, attributes)


def _element(
    parent: ElementTree.Element, name: str, attributes: dict[str, str], mandatory: tuple[str, ...] = ()
) -> ElementTree.Element:
    """With the attributes that have a value, and those that must be there."""
    stated = {key: _printable(value) for key, value in attributes.items() if value or key in mandatory}
    return ElementTree.SubElement(parent, name, stated)


def _printable(text: str) -> str:
    return _NO_CHARACTER_OF_XML.sub("\ufffd", text)
