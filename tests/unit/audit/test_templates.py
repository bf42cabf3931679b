"""Audit messages follow the templates of PS3.15 A.5.3 and the schema of A.5.1.1."""

import base64
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from glam_node.node.audit import people, templates
from glam_node.node.audit.message import Outcome, Reporter
from glam_node.node.audit.syslog import frame
from glam_node.node.audit.templates import Party, StudyEvent
from tests.builders import MG_FOR_PRESENTATION, NOW, SEGMENTATION, STUDY_UID
from tests.peers import PEERS

SCHEMA = Path(__file__).with_name("audit_message.rng")
US = Reporter("GLAMNODE", "Hospital", "node.example.org")
PACS = Party("PACS", "PACS", "10.0.0.5")
MOVED = StudyEvent(NOW, STUDY_UID, "digest", {MG_FOR_PRESENTATION: 4})
FAILED = StudyEvent(NOW, STUDY_UID, "digest", {SEGMENTATION: 2, "": 1}, Outcome.MINOR_FAILURE, "not stored")
NOT_TAKEN = StudyEvent(NOW, "unknown", "unknown", {"<no UID>": 3}, Outcome.SERIOUS_FAILURE, "refused with 0xC000")
ANNA = Party("anna", host="10.0.0.7")
HELD = StudyEvent(NOW, STUDY_UID, "digest", {}, description="held: prior awaited")
MESSAGES = {
    "start": templates.application_activity(US, NOW, "receiver", starts=True),
    "stop": templates.application_activity(US, NOW, "receiver", starts=False),
    "received": templates.received(US, MOVED, PACS, known=False),
    "not received": templates.received(US, NOT_TAKEN, PACS, known=False),
    "received again": templates.received(US, MOVED, PACS, known=True),
    "delivered": templates.delivered(US, FAILED, PACS),
    "exported": templates.delivered(US, MOVED, Party("folder", uri="file:///srv/results")),
    "deleted": templates.study_deleted(US, MOVED),
    "refused": templates.node_refused(US, NOW, PACS, "unknown"),
    "settings": templates.settings_changed(US, NOW, "changed: peers, tls"),
    "settings refused": templates.settings_changed(US, NOW, "nod: unknown", Outcome.MINOR_FAILURE),
    "signed in": people.authenticated(US, NOW, ANNA, Outcome.SUCCESS, ""),
    "signed out": people.authenticated(US, NOW, ANNA, Outcome.SUCCESS, "", leaves=True),
    "not let in": people.authenticated(US, NOW, Party("10.0.0.7"), Outcome.MINOR_FAILURE, "not let in"),
    "held": people.acted_on_study(US, HELD, ANNA),
    "patient shown": people.saw_patient(US, HELD, ANNA),
    "account": people.account_changed(US, NOW, ANNA, "bert", "role viewer"),
    "query": people.queried(US, NOW, ANNA, PACS, "PatientID=withheld", Outcome.SUCCESS, "2 studies match"),
    "echo": people.used_function(US, NOW, ANNA, "archive", "C-ECHO asked for", Outcome.SUCCESS),
}


def parsed(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(MESSAGES[name])


def codes(element: ElementTree.Element) -> list[tuple[str, str]]:
    """Return all coded values of a message."""
    return [(one.tag, one.attrib["csd-code"]) for one in element.iter() if "originalText" in one.attrib]


def is_valid(message: bytes) -> bool:
    command = [str(PEERS["xmllint"].program), "--noout", "--relaxng", str(SCHEMA), "-"]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


@pytest.mark.peer("xmllint")
@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_valid_by_the_schema(name: str) -> None:
    assert is_valid(MESSAGES[name])


@pytest.mark.peer("xmllint")
def test_a_message_without_its_source_is_invalid() -> None:
    assert not is_valid(MESSAGES["start"].replace(b'AuditSourceID="GLAMNODE"', b""))


@pytest.mark.peer("xmllint")
def test_control_characters_in_an_ae_title_leave_the_message_valid() -> None:
    assert is_valid(templates.node_refused(US, NOW, Party("\x00\x1b]<&>\ud800", "\x01\x02"), 'a "reason"\x00'))


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("start", ["110100", "110120"]),
        ("stop", ["110100", "110121"]),
        ("received", ["110104"]),
        ("delivered", ["110104"]),
        ("exported", ["110106"]),
        ("deleted", ["110105"]),
        ("refused", ["110113", "110126"]),
        ("settings", ["110113", "110131"]),
        ("signed in", ["110114", "110122"]),
        ("signed out", ["110114", "110123"]),
        ("held", ["110111"]),
        ("patient shown", ["110103"]),
        ("account", ["110113", "110137"]),
        ("query", ["110112"]),
        ("echo", ["110113", "110132"]),
    ],
)
def test_every_message_names_its_event(name: str, event: list[str]) -> None:
    identification = parsed(name)[0]
    assert [value for _, value in codes(identification)] == event


def test_received_instances_go_from_the_sender_to_the_node() -> None:
    sender, receiver = parsed("received").findall("ActiveParticipant")
    assert (sender.get("AlternativeUserID"), codes(sender)) == ("AETITLES=PACS", [("RoleIDCode", "110153")])
    assert (receiver.get("AlternativeUserID"), codes(receiver)) == ("AETITLES=GLAMNODE", [("RoleIDCode", "110152")])
    assert (sender.get("NetworkAccessPointID"), sender.get("NetworkAccessPointTypeCode")) == ("10.0.0.5", "2")


def test_known_instances_are_read_and_new_ones_created() -> None:
    actions = [parsed(name)[0].get("EventActionCode") for name in ("received", "received again", "delivered")]
    assert actions == ["C", "R", "R"]


def test_instances_are_counted_by_class_in_their_study() -> None:
    study = parsed("received").findall("ParticipantObjectIdentification")[0]
    assert study.get("ParticipantObjectID") == STUDY_UID
    (counted,) = study.iter("SOPClass")
    assert counted.attrib == {"UID": MG_FOR_PRESENTATION, "NumberOfInstances": "4"}


def test_a_patient_appears_as_a_digest_without_a_name() -> None:
    patient = parsed("received").findall("ParticipantObjectIdentification")[1]
    assert (patient.get("ParticipantObjectID"), patient.findtext("ParticipantObjectName")) == ("digest", "withheld")


@pytest.mark.parametrize("name", ["held", "patient shown", "account", "echo", "signed in", "signed out"])
def test_a_person_is_named_with_the_address(name: str) -> None:
    person = parsed(name).findall("ActiveParticipant")[0]
    assert [person.get(key) for key in ("UserID", "UserIsRequestor", "NetworkAccessPointID")] == [
        "anna",
        "true",
        "10.0.0.7",
    ]


def test_an_action_on_a_study_states_the_study_and_the_reason() -> None:
    study = parsed("held").findall("ParticipantObjectIdentification")[0]
    assert study.get("ParticipantObjectID") == STUDY_UID
    assert parsed("held")[0].findtext("EventOutcomeDescription") == "held: prior awaited"


def test_an_export_names_the_folder_as_media() -> None:
    _, media = parsed("exported").findall("ActiveParticipant")
    assert media.get("UserID") == "file:///srv/results"
    assert codes(media) == [("RoleIDCode", "110154"), ("MediaType", "110037")]


def test_a_failure_states_its_outcome() -> None:
    identification = parsed("delivered")[0]
    assert identification.get("EventOutcomeIndicator") == "4"
    assert identification.findtext("EventOutcomeDescription") == "not stored"


def test_an_alert_states_its_reason() -> None:
    (detail,) = parsed("refused").iter("ParticipantObjectDetail")
    assert (detail.get("type"), base64.b64decode(detail.attrib["value"])) == ("Alert Description", b"unknown")


def test_a_syslog_record_has_its_length_in_front_and_a_standard_header() -> None:
    length, _, record = frame(7, NOW, MESSAGES["start"], "node").partition(b" ")
    assert int(length) == len(record)
    header = b'<85>1 2026-01-02T10:15:00.000Z node glam-node - DICOM+RFC3881 [meta sequenceId="7"] \xef\xbb\xbf'
    assert record == header + MESSAGES["start"]


def test_a_query_goes_from_the_node_to_the_archive_and_states_its_keys() -> None:
    roles = {one.attrib["UserID"]: codes(one) for one in parsed("query").iter("ActiveParticipant")}
    assert roles == {
        "anna": [],
        "glam-node": [("RoleIDCode", "110153")],
        "PACS": [("RoleIDCode", "110152")],
    }
    (query,) = parsed("query").iter("ParticipantObjectQuery")
    assert base64.b64decode(query.text or "") == b"PatientID=withheld"
