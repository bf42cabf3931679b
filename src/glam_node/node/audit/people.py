"""Audit messages about people: sign-in, actions on studies, access to patients' names (PS3.15 A.5.3)."""

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
from glam_node.node.audit.templates import (
    DESTINATION,
    QUERY,
    SECURITY_ALERT,
    SOP_CLASS_UID,
    SOURCE,
    Party,
    StudyEvent,
    alert,
    study_and_patient,
)

# PS3.4 Table C.6.2.3-1
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
INSTANCES_ACCESSED = Code("110103", "DCM", "DICOM Instances Accessed")
PROCEDURE_RECORD = Code("110111", "DCM", "Procedure Record")
USER_AUTHENTICATION = Code("110114", "DCM", "User Authentication")
LOGIN = Code("110122", "DCM", "Login")
LOGOUT = Code("110123", "DCM", "Logout")
RESTRICTED_FUNCTION = Code("110132", "DCM", "Use of Restricted Function")
USER_SECURITY = Code("110137", "DCM", "User Security Attributes Changed")


def authenticated(
    reporter: Reporter, at: datetime, person: Party, outcome: Outcome, description: str, *, leaves: bool = False
) -> bytes:
    """Encode a User Authentication message (A.5.3.12): a person signed in, signed out or failed to sign in."""
    event = AuditEvent(USER_AUTHENTICATION, "E", at, outcome, LOGOUT if leaves else LOGIN, description)
    node = Participant("console", False, reporter.ae_title, "glam-node console", reporter.host)
    return encode(event, (_person(person), node), reporter)


def acted_on_study(reporter: Reporter, study: StudyEvent, person: Party) -> bytes:
    """Encode a Procedure Record message: a person acted on a study.

    PS3.15 has no template for this event. The message has the layout of A.5.3.6.
    """
    event = AuditEvent(PROCEDURE_RECORD, "U", study.at, study.outcome, None, study.description)
    return encode(event, (_person(person),), reporter, study_and_patient(study))


def saw_patient(reporter: Reporter, study: StudyEvent, person: Party) -> bytes:
    """Encode a DICOM Instances Accessed message (A.5.3.6): a person saw the identity of a patient."""
    event = AuditEvent(INSTANCES_ACCESSED, "R", study.at, study.outcome, None, study.description)
    return encode(event, (_person(person),), reporter, study_and_patient(study))


def account_changed(reporter: Reporter, at: datetime, person: Party, account: str, description: str) -> bytes:
    """Encode a Security Alert message (A.5.3.11): an account was created, removed or changed."""
    event = AuditEvent(SECURITY_ALERT, "E", at, event_type=USER_SECURITY)
    return encode(event, (_person(person),), reporter, (alert(account, account, description),))


def used_function(
    reporter: Reporter, at: datetime, person: Party, subject: str, description: str, outcome: Outcome
) -> bytes:
    """Encode a Security Alert message (A.5.3.11): a person used, or tried to use, a restricted function."""
    event = AuditEvent(SECURITY_ALERT, "E", at, outcome, RESTRICTED_FUNCTION)
    return encode(event, (_person(person),), reporter, (alert(subject, subject, description),))


def queried(
    reporter: Reporter, at: datetime, person: Party, archive: Party, asked: str, outcome: Outcome, description: str
) -> bytes:
    """Encode a Query message (A.5.3.10): a person had the node search an archive.

    Args:
        reporter: This node.
        at: The time of the answer.
        person: The person.
        archive: The archive that answered.
        asked: The matching keys.
        outcome: The outcome.
        description: The failure in words, or the number of matches.
    """
    event = AuditEvent(QUERY, "E", at, outcome, None, description)
    participants = (
        _person(person),
        Participant("glam-node", False, reporter.ae_title, "glam-node", reporter.host, SOURCE),
        Participant(archive.name, False, archive.ae_title, host=archive.host, role=DESTINATION),
    )
    subject = ParticipantObject(STUDY_ROOT_FIND, SOP_CLASS_UID, "2", "", role="3", query=asked)
    return encode(event, participants, reporter, (subject,))


def _person(person: Party) -> Participant:
    return Participant(person.name, True, user_name=person.name, host=person.host)
