"""Audit messages about the node: the templates of PS3.15 A.5.3 that this node uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from glam_node.node.audit.message import (
    AuditEvent,
    Code,
    Outcome,
    Participant,
    ParticipantObject,
    Reporter,
    encode,
)

APPLICATION_ACTIVITY = Code("110100", "DCM", "Application Activity")
APPLICATION_START = Code("110120", "DCM", "Application Start")
APPLICATION_STOP = Code("110121", "DCM", "Application Stop")
INSTANCES_TRANSFERRED = Code("110104", "DCM", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DCM", "DICOM Study Deleted")
EXPORT = Code("110106", "DCM", "Export")
QUERY = Code("110112", "DCM", "Query")
SECURITY_ALERT = Code("110113", "DCM", "Security Alert")
NODE_AUTHENTICATION = Code("110126", "DCM", "Node Authentication")
SOFTWARE_CONFIGURATION = Code("110131", "DCM", "Software Configuration")
APPLICATION = Code("110150", "DCM", "Application")
DESTINATION = Code("110152", "DCM", "Destination Role ID")
SOURCE = Code("110153", "DCM", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "DCM", "Destination Media")
URI = Code("110037", "DCM", "URI")
STUDY_INSTANCE_UID = Code("110180", "DCM", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "DCM", "SOP Class UID")
NODE_ID = Code("110182", "DCM", "Node ID")
PATIENT_NUMBER = Code("2", "RFC-3881", "Patient Number")

WITHHELD = "withheld"
"""Placeholder for the patient's name, an element that the schema requires."""


@dataclass(frozen=True, slots=True)
class Party:
    """A person or system that the node communicates with, by the name in settings or logs."""

    name: str
    ae_title: str = ""
    host: str = ""
    uri: str = ""
    """The URI of the folder or HL7 engine; empty for other parties."""


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """An event about one study of one patient, with the instances that it concerns."""

    at: datetime
    """The time of the event, or of the last instance."""
    study_instance_uid: str
    patient: str
    """The pseudonym of the patient."""
    instances: Mapping[str, int]
    """Number of instances by SOP class UID; an unknown SOP class has an empty UID."""
    outcome: Outcome = Outcome.SUCCESS
    description: str = ""


def application_activity(reporter: Reporter, at: datetime, process: str, *, starts: bool) -> bytes:
    """Encode an Application Activity message (A.5.3.1): a process of the node has started or is stopping."""
    event = AuditEvent(APPLICATION_ACTIVITY, "E", at, event_type=APPLICATION_START if starts else APPLICATION_STOP)
    return encode(event, (_process(reporter, process, role=APPLICATION),), reporter)


def received(reporter: Reporter, study: StudyEvent, sender: Party, *, known: bool) -> bytes:
    """Encode a DICOM Instances Transferred message (A.5.3.7): instances were received.

    Args:
        reporter: This node.
        study: The study and its instances.
        sender: The peer.
        known: Whether the node had the instances already, so that nothing changed.
    """
    event = AuditEvent(INSTANCES_TRANSFERRED, "R" if known else "C", study.at, study.outcome, None, study.description)
    participants = (_party(sender, SOURCE, is_requestor=True), _process(reporter, "receiver", DESTINATION))
    return encode(event, participants, reporter, study_and_patient(study))


def delivered(reporter: Reporter, study: StudyEvent, destination: Party) -> bytes:
    """Encode a message about sent results: DICOM Instances Transferred (A.5.3.7), or Export (A.5.3.4) to a URI."""
    if destination.uri:
        return exported(reporter, study, destination, "sender")
    sender = _process(reporter, "sender", SOURCE, is_requestor=True)
    event = AuditEvent(INSTANCES_TRANSFERRED, "R", study.at, study.outcome, None, study.description)
    participants = (sender, _party(destination, DESTINATION, is_requestor=False))
    return encode(event, participants, reporter, study_and_patient(study))


def exported(reporter: Reporter, study: StudyEvent, media: Party, process: str) -> bytes:
    """Encode an Export message (A.5.3.4): instances were written to a folder or device outside the node."""
    event = AuditEvent(EXPORT, "R", study.at, study.outcome, None, study.description)
    source = _process(reporter, process, SOURCE, is_requestor=True)
    target = Participant(media.uri, False, user_name=media.name, role=DESTINATION_MEDIA, media_type=URI)
    return encode(event, (source, target), reporter, study_and_patient(study))


def study_deleted(reporter: Reporter, study: StudyEvent) -> bytes:
    """Encode a DICOM Study Deleted message (A.5.3.8): the files of a study were removed."""
    event = AuditEvent(STUDY_DELETED, "D", study.at, description=study.description)
    participants = (_process(reporter, "dispatcher", is_requestor=True),)
    return encode(event, participants, reporter, study_and_patient(study))


def node_refused(reporter: Reporter, at: datetime, caller: Party, reason: str) -> bytes:
    """Encode a Security Alert message (A.5.3.11): an association was rejected or a TLS handshake failed."""
    event = AuditEvent(SECURITY_ALERT, "E", at, Outcome.MINOR_FAILURE, NODE_AUTHENTICATION)
    participants = (_process(reporter, "receiver", is_requestor=False), _party(caller, None, is_requestor=False))
    return encode(event, participants, reporter, (alert(caller.host or caller.name, caller.ae_title, reason),))


def settings_changed(reporter: Reporter, at: datetime, description: str, outcome: Outcome = Outcome.SUCCESS) -> bytes:
    """Encode a Security Alert message (A.5.3.11): the settings of the node were changed, or a change failed."""
    said = "" if outcome is Outcome.SUCCESS else description
    event = AuditEvent(SECURITY_ALERT, "E", at, outcome, SOFTWARE_CONFIGURATION, said)
    subject = alert(reporter.ae_title, "settings", description)
    return encode(event, (_process(reporter, "dispatcher", is_requestor=True),), reporter, (subject,))


def _process(reporter: Reporter, process: str, role: Code | None = None, *, is_requestor: bool = False) -> Participant:
    """Return a process of this node, with its name in the logs, as a participant (A.5.2.1)."""
    return Participant(process, is_requestor, reporter.ae_title, f"glam-node {process}", reporter.host, role)


def _party(party: Party, role: Code | None, *, is_requestor: bool) -> Participant:
    return Participant(party.name, is_requestor, party.ae_title, host=party.host, role=role)


def study_and_patient(study: StudyEvent) -> tuple[ParticipantObject, ParticipantObject]:
    """Return the study and the patient as participant objects."""
    uid, instances = study.study_instance_uid, tuple(sorted(study.instances.items()))
    return (
        ParticipantObject(uid, STUDY_INSTANCE_UID, "2", uid, role="3", instances=instances),
        ParticipantObject(study.patient, PATIENT_NUMBER, "1", WITHHELD, role="1"),
    )


def alert(node: str, name: str, description: str) -> ParticipantObject:
    """Return the subject of a Security Alert as a participant object."""
    return ParticipantObject(node, NODE_ID, "2", name or node, details=(("Alert Description", description),))
