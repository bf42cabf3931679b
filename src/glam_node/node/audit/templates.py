"""What is said of each kind of event: the templates of PS3.15 A.5.3 that this node uses."""

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
SECURITY_ALERT = Code("110113", "DCM", "Security Alert")
NODE_AUTHENTICATION = Code("110126", "DCM", "Node Authentication")
SOFTWARE_CONFIGURATION = Code("110131", "DCM", "Software Configuration")
APPLICATION = Code("110150", "DCM", "Application")
DESTINATION = Code("110152", "DCM", "Destination Role ID")
SOURCE = Code("110153", "DCM", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "DCM", "Destination Media")
URI = Code("110037", "DCM", "URI")
STUDY_INSTANCE_UID = Code("110180", "DCM", "Study Instance UID")
NODE_ID = Code("110182", "DCM", "Node ID")
PATIENT_NUMBER = Code("2", "RFC-3881", "Patient Number")

WITHHELD = "withheld"
"""In place of a patient's name, which the schema wants and nobody needs."""


@dataclass(frozen=True, slots=True)
class Party:
    """The other side: its name in settings or logs, and what is known of it."""

    name: str
    ae_title: str = ""
    host: str = ""
    uri: str = ""
    """Of a folder; empty for an application entity."""


@dataclass(frozen=True, slots=True)
class StudyMoved:
    """Instances of one study of one patient that went one way together."""

    at: datetime
    """When the last of them was there."""
    study_instance_uid: str
    patient: str
    """Opaque."""
    instances: Mapping[str, int]
    """How many by SOP class; a class that is not known is empty."""
    outcome: Outcome = Outcome.SUCCESS
    description: str = ""


def application_activity(reporter: Reporter, at: datetime, process: str, *, starts: bool) -> bytes:
    """A.5.3.1: a process of the node has started or stops."""
    event = AuditEvent(APPLICATION_ACTIVITY, "E", at, event_type=APPLICATION_START if starts else APPLICATION_STOP)
    return encode(event, (_process(reporter, process, role=APPLICATION),), reporter)


def received(reporter: Reporter, moved: StudyMoved, sender: Party, *, known: bool) -> bytes:
    """A.5.3.7: instances came in; `known`: they were held already and nothing changed."""
    event = AuditEvent(INSTANCES_TRANSFERRED, "R" if known else "C", moved.at, moved.outcome, None, moved.description)
    participants = (_party(sender, SOURCE, is_requestor=True), _process(reporter, "receiver", DESTINATION))
    return encode(event, participants, reporter, study_and_patient(moved))


def delivered(reporter: Reporter, moved: StudyMoved, destination: Party) -> bytes:
    """A.5.3.7, or A.5.3.4 where a folder is the destination: results went out, or could not."""
    if destination.uri:
        return exported(reporter, moved, destination, "sender")
    sender = _process(reporter, "sender", SOURCE, is_requestor=True)
    event = AuditEvent(INSTANCES_TRANSFERRED, "R", moved.at, moved.outcome, None, moved.description)
    participants = (sender, _party(destination, DESTINATION, is_requestor=False))
    return encode(event, participants, reporter, study_and_patient(moved))


def exported(reporter: Reporter, moved: StudyMoved, media: Party, process: str) -> bytes:
    """A.5.3.4: instances were written to where the node does not keep them."""
    event = AuditEvent(EXPORT, "R", moved.at, moved.outcome, None, moved.description)
    source = _process(reporter, process, SOURCE, is_requestor=True)
    target = Participant(media.uri, False, user_name=media.name, role=DESTINATION_MEDIA, media_type=URI)
    return encode(event, (source, target), reporter, study_and_patient(moved))


def study_deleted(reporter: Reporter, moved: StudyMoved) -> bytes:
    """A.5.3.8: what was kept of a study is removed."""
    event = AuditEvent(STUDY_DELETED, "D", moved.at, description=moved.description)
    participants = (_process(reporter, "dispatcher", is_requestor=True),)
    return encode(event, participants, reporter, study_and_patient(moved))


def node_refused(reporter: Reporter, at: datetime, caller: Party, reason: str) -> bytes:
    """A.5.3.11: an association was rejected, or TLS was not agreed upon."""
    event = AuditEvent(SECURITY_ALERT, "E", at, Outcome.MINOR_FAILURE, NODE_AUTHENTICATION)
    participants = (_process(reporter, "receiver", is_requestor=False), _party(caller, None, is_requestor=False))
    return encode(event, participants, reporter, (alert(caller.host or caller.name, caller.ae_title, reason),))


def settings_changed(reporter: Reporter, at: datetime, description: str, outcome: Outcome = Outcome.SUCCESS) -> bytes:
    """A.5.3.11: the node runs with other settings than before, or was told to and could not."""
    said = "" if outcome is Outcome.SUCCESS else description
    event = AuditEvent(SECURITY_ALERT, "E", at, outcome, SOFTWARE_CONFIGURATION, said)
    subject = alert(reporter.ae_title, "settings", description)
    return encode(event, (_process(reporter, "dispatcher", is_requestor=True),), reporter, (subject,))


def _process(reporter: Reporter, process: str, role: Code | None = None, *, is_requestor: bool = False) -> Participant:
    """One of ours; its logs call it the same (A.5.2.1)."""
    return Participant(process, is_requestor, reporter.ae_title, f"glam-node {process}", reporter.host, role)


def _party(party: Party, role: Code | None, *, is_requestor: bool) -> Participant:
    return Participant(party.name, is_requestor, party.ae_title, host=party.host, role=role)


def study_and_patient(moved: StudyMoved) -> tuple[ParticipantObject, ParticipantObject]:
    """What the message is about."""
    uid, instances = moved.study_instance_uid, tuple(sorted(moved.instances.items()))
    return (
        ParticipantObject(uid, STUDY_INSTANCE_UID, "2", uid, role="3", instances=instances),
        ParticipantObject(moved.patient, PATIENT_NUMBER, "1", WITHHELD, role="1"),
    )


def alert(node: str, name: str, description: str) -> ParticipantObject:
    """What a Security Alert is about."""
    return ParticipantObject(node, NODE_ID, "2", name or node, details=(("Alert Description", description),))
