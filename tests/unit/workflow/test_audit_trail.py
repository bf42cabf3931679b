"""Audit messages made of events."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset

from glam_node.node.audit.message import Reporter
from glam_node.node.audit.templates import Party
from glam_node.node.console import sources
from glam_node.node.db import audit, audit_messages
from glam_node.node.db.audit_messages import AuditMessage
from glam_node.node.db.writer import Writer
from glam_node.node.domain.account import Actor
from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy, FoundStudies, StudyQuery
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.errors import TransientError
from glam_node.node.workflow.operate.retention import RetentionPolicy, retire
from glam_node.node.workflow.receive.refusals import SAME, Refusals
from glam_node.node.workflow.receive.store_instance import Received, receive
from glam_node.node.workflow.record.audit_trail import EVENTS_AT_ONCE, TOGETHER, write_audit_messages
from glam_node.node.workflow.record.event_messages import MESSAGES, NOT_AUDITED, Reporting
from glam_node.node.workflow.record.events import (
    record_backup,
    record_refused_reload,
    record_settings,
    record_start,
    record_stop,
)
from glam_node.node.workflow.record.source_events import RecordedSource
from glam_node.node.workflow.record.traces import ATTRIBUTES
from glam_node.settings.digest import ORDER_OF_RULES
from glam_node.settings.sources import CGetSettings
from tests.builders import NOW
from tests.data_sets import EXPLICIT_LITTLE, MG, data_set
from tests.unit.workflow.workbench import Archive, Workbench, down, unsupported

US = Reporting(Reporter("GLAMNODE", "", "node"), {"archive": Party("archive", "ARCHIVE", "10.0.0.9")})
SECRETS = ("Doe", "Jane", "P1", "19600101")


class Trail:
    """A node whose events become messages on request."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.writer = Writer(bench.sessions)

    def take(self, uid: str, seconds: float = 0, **values: object) -> None:
        """Store an instance, `seconds` after the last event."""
        self.bench.clock.turn(seconds)
        file = self.bench.store.incoming(b"head")
        whose = {"PatientID": "P1", "PatientName": "Doe^Jane", "PatientBirthDate": "19600101", **values}
        file.write([memoryview(data_set(uid, 0, **whose))])
        try:
            received = Received(MG, uid, EXPLICIT_LITTLE, file)
            receive(received, "MODALITY", store=self.bench.store, writer=self.writer, now=self.bench.clock())
        finally:
            file.discard()

    def report(self, seconds: float = 0) -> list[AuditMessage]:
        """Return the messages that are made `seconds` after the last event."""
        self.bench.clock.turn(seconds)
        with self.bench.sessions() as session:
            before, _ = audit_messages.counts(session)
        write_audit_messages(self.bench.sessions, US, self.bench.store, self.bench.clock())
        with self.bench.sessions() as session:
            after, _ = audit_messages.counts(session)
            return list(reversed(audit_messages.recent(session, 10_000)))[before - after :] if after > before else []

    def close(self) -> None:
        self.writer.stop()


@pytest.fixture
def trail(bench: Workbench) -> Iterator[Trail]:
    trail = Trail(bench)
    yield trail
    trail.close()


def told(message: AuditMessage) -> tuple[str, str, str]:
    """Return event, action and outcome of a message."""
    (event,) = ElementTree.fromstring(message.message).iter("EventIdentification")
    meant = "/".join(element.attrib["originalText"] for element in event if "originalText" in element.attrib)
    return meant, event.attrib["EventActionCode"], event.attrib["EventOutcomeIndicator"]


def counted(message: AuditMessage) -> list[str]:
    """Return the numbers of instances in a message, by class."""
    return [one.attrib["NumberOfInstances"] for one in ElementTree.fromstring(message.message).iter("SOPClass")]


def patient(message: AuditMessage) -> str:
    root = ElementTree.fromstring(message.message)
    return root.findall("ParticipantObjectIdentification")[1].attrib["ParticipantObjectID"]


def test_the_instances_of_a_study_that_came_together_are_one_message(trail: Trail) -> None:
    for number in range(4):
        trail.take(f"1.2.3.{number}", seconds=3)
    assert trail.report(seconds=9) == []
    (message,) = trail.report(seconds=1)
    assert told(message) == ("DICOM Instances Transferred", "C", "0")
    assert counted(message) == ["4"]
    assert message.event_at == NOW + timedelta(seconds=12)


def test_a_transfer_that_does_not_end_has_a_message_once_a_minute(trail: Trail) -> None:
    made = []
    for number in range(30):
        trail.take(f"1.2.3.{number}", seconds=5)
        made += trail.report()
    assert [counted(message) for message in made] == [["13"], ["13"]]


def test_each_study_and_each_sender_has_a_message_of_its_own(trail: Trail) -> None:
    trail.take("1.2.3.1")
    trail.take("1.2.4.1", StudyInstanceUID="1.2.4")
    assert [counted(message) for message in trail.report(seconds=10)] == [["1"], ["1"]]


def test_an_event_has_one_message(trail: Trail) -> None:
    trail.take("1.2.3.1")
    assert len(trail.report(seconds=10)) == 1
    assert trail.report(seconds=10) == []


def test_a_clock_that_was_set_back_delays_no_message(trail: Trail) -> None:
    trail.take("1.2.3.1")
    assert len(trail.report(seconds=-3600)) == 1


def test_a_known_instance_leads_to_a_transfer_message_without_creation(trail: Trail) -> None:
    trail.take("1.2.3.1")
    trail.report(seconds=10)
    trail.take("1.2.3.1")
    trail.take("1.2.3.1", ImageLaterality="R")
    assert sorted(told(message)[1:] for message in trail.report(seconds=10)) == [("R", "0"), ("R", "4")]


def test_a_message_does_not_name_the_patient(trail: Trail) -> None:
    trail.take("1.2.3.1")
    (message,) = trail.report(seconds=10)
    assert [secret for secret in SECRETS if secret in message.message.decode()] == []


def test_the_same_patient_has_the_same_digest_and_another_patient_another(trail: Trail) -> None:
    trail.take("1.2.3.1")
    trail.take("1.2.4.1", StudyInstanceUID="1.2.4")
    trail.take("1.2.5.1", StudyInstanceUID="1.2.5", PatientID="P2")
    trail.take("1.2.6.1", StudyInstanceUID="1.2.6", PatientID="")
    one, same, other, nobody = map(patient, trail.report(seconds=10))
    assert one == same != other
    assert (len(one), nobody) == (64, "unknown")


def test_an_instance_of_another_patient_is_a_message_of_its_own(trail: Trail) -> None:
    trail.take("1.2.3.1")
    trail.take("1.2.3.2", PatientID="P2")
    first, second = trail.report(seconds=10)
    assert patient(first) != patient(second) == "unknown"
    assert b"another patient" in second.message


def test_results_that_were_stored_are_one_message_for_each_destination(trail: Trail, exam: list[Dataset]) -> None:
    trail.bench.run(trail.bench.submitted(*exam))
    trail.bench.deliver(Archive())
    (message,) = trail.report(seconds=10)
    assert told(message) == ("DICOM Instances Transferred", "R", "0")
    assert (counted(message), b"AETITLES=ARCHIVE" in message.message) == (["2", "1"], True)


@pytest.mark.parametrize(("answer", "outcome"), [(down, "4"), (unsupported, "8")])
def test_results_that_were_not_stored_are_a_failure(
    trail: Trail, exam: list[Dataset], answer: object, outcome: str
) -> None:
    trail.bench.run(trail.bench.submitted(*exam))
    trail.bench.deliver(Archive(answer=answer))  # type: ignore[arg-type]
    assert [told(message)[2] for message in trail.report(seconds=10)] == [outcome]


def test_results_that_the_archive_did_not_commit_are_a_failure_to_be_mended(trail: Trail) -> None:
    facts: EventDetail = {"destination": "archive", "sop_class_uid": MG, "failure": "The archive replied 0x0112"}
    with trail.bench.sessions.begin() as session:
        for _ in range(2):
            audit.record(session, EventKind.RESULT_NOT_COMMITTED, NOW, study_instance_uid="1.2.3", **facts)
    (message,) = trail.report(seconds=10)
    assert (told(message)[2], counted(message), b"0x0112" in message.message) == ("4", ["2"], False)


def test_a_removed_destination_is_named_in_its_message(trail: Trail, exam: list[Dataset]) -> None:
    trail.bench.destinations = {"former": ("segmentation",)}
    trail.bench.run(trail.bench.submitted(*exam))
    trail.bench.deliver(Archive(name="former"))
    (message,) = trail.report(seconds=10)
    assert b'UserID="former"' in message.message


def test_a_retired_study_leads_to_a_study_deleted_message(trail: Trail, exam: list[Dataset]) -> None:
    trail.bench.run(trail.bench.submitted(*exam))
    trail.bench.deliver(Archive())
    trail.report(seconds=86_400)
    retire(trail.bench.sessions, trail.bench.store, RetentionPolicy(timedelta(days=1), 0), trail.bench.clock())
    (message,) = trail.report()
    assert told(message) == ("DICOM Study Deleted", "D", "0")
    assert (len(patient(message)), b"retired by age" in message.message) == (64, True)


def test_a_backup_is_an_export_of_each_study_in_it(trail: Trail) -> None:
    trail.take("1.2.3.1")
    trail.report(seconds=10)
    record_backup(trail.bench.sessions, Path("/media/disk"), {"1.2.3": 1}, trail.bench.clock())
    (message,) = trail.report()
    assert told(message) == ("Export", "R", "0")
    assert counted(message) == ["1"]
    assert b'UserID="file:///media/disk"' in message.message


def test_a_refused_association_has_a_message_at_once(trail: Trail) -> None:
    detail: EventDetail = {"calling_ae_title": "SCANNER", "address": "10.0.0.6", "reason": "unknown", "repeated": 7}
    with trail.bench.sessions.begin() as session:
        audit.record(session, EventKind.ASSOCIATION_REJECTED, NOW, **detail)
    (message,) = trail.report()
    assert told(message) == ("Security Alert/Node Authentication", "E", "4")
    assert b'ParticipantObjectID="10.0.0.6"' in message.message
    (detail_element,) = ElementTree.fromstring(message.message).iter("ParticipantObjectDetail")
    assert b64decode(detail_element.attrib["value"]) == b"unknown; 7 more of this kind before it"


REFUSED: EventDetail = {"status": "0xC000", "reason": "no UID", "calling_ae_title": "SCANNER", "address": "10.0.0.6"}


def test_refused_instances_of_one_caller_are_one_message_with_their_number(trail: Trail) -> None:
    refusals = Refusals(trail.writer)
    for number in (1, 2, 2, 2, 3):
        refusals.record(
            EventKind.INSTANCE_REFUSED, {**REFUSED, "sop_class_uid": MG, "sop_instance_uid": f"1.{number}"}, NOW
        )
    full: EventDetail = {
        **REFUSED,
        "status": "0xA700",
        "reason": "full",
        "sop_class_uid": MG,
        "sop_instance_uid": "1.1",
    }
    refusals.record(EventKind.INSTANCE_REFUSED, full, NOW)
    assert trail.report() == []
    messages = trail.report(seconds=10)
    assert [told(message) for message in messages] == [("DICOM Instances Transferred", "C", "8")] * 2
    assert [counted(message) for message in messages] == [["3"], ["1"]]
    assert b"refused with 0xC000: no UID; the first is 1.1" in messages[0].message
    assert b'UserID="SCANNER"' in messages[0].message
    assert b'NetworkAccessPointID="10.0.0.6"' in messages[0].message
    assert patient(messages[0]) == "unknown"


def test_a_hostile_sender_leads_to_one_message_a_minute(trail: Trail) -> None:
    refusals, made, minutes = Refusals(trail.writer), list[AuditMessage](), 5
    for number in range(minutes * 300):
        odd: EventDetail = {**REFUSED, "sop_class_uid": MG, "sop_instance_uid": f"1.{number}"}
        trail.bench.clock.turn(0.2)
        refusals.record(EventKind.INSTANCE_REFUSED, odd, trail.bench.clock())
        made += trail.report() if number % 25 == 0 else []
    assert 0 < len(made) <= minutes
    assert max(len(message.message) for message in made) < 2500
    assert all(int(counted(message)[0]) >= 100 for message in made)
    assert any(b"more of other kinds before it" in message.message for message in made)


def test_start_and_stop_of_a_process_have_a_message_each(trail: Trail) -> None:
    record_start(trail.bench.sessions, "receiver", NOW)
    record_stop(trail.bench.sessions, "receiver", NOW)
    assert [told(message)[0] for message in trail.report()] == [
        "Application Activity/Application Start",
        "Application Activity/Application Stop",
    ]


def test_new_and_changed_settings_have_a_message(trail: Trail) -> None:
    for digests in ({"node": "1", "tls": "1"}, {"node": "1", "tls": "1"}, {"node": "1", "tls": "2"}):
        record_settings(trail.bench.sessions, digests, NOW)
    assert [told(message) for message in trail.report()] == [("Security Alert/Software Configuration", "E", "0")] * 2
    with trail.bench.sessions() as session:
        changed = [event.detail["changed"] for event in audit.recent(session, EventKind.SETTINGS_CHANGED, 10)]
    assert changed == [["tls"], []]


def test_refused_settings_have_a_message_with_the_reason(trail: Trail) -> None:
    record_refused_reload(trail.bench.sessions, "worker", "nod: unknown", NOW)
    (message,) = trail.report()
    assert told(message) == ("Security Alert/Software Configuration", "E", "4")
    assert b"not reloaded by worker on" in message.message
    assert b"the old ones stay: nod: unknown" in message.message


def test_a_new_order_of_the_rules_counts_as_a_change(trail: Trail) -> None:
    before = {"rules": "1", ORDER_OF_RULES: "1"}
    for digests in (before, before | {ORDER_OF_RULES: "2"}, {"rules": "2", ORDER_OF_RULES: "3"}):
        record_settings(trail.bench.sessions, digests, NOW)
    with trail.bench.sessions() as session:
        changed = [event.detail["changed"] for event in audit.recent(session, EventKind.SETTINGS_CHANGED, 10)]
    assert changed == [["rules"], [ORDER_OF_RULES], []]


def test_every_kind_of_event_is_either_audited_or_listed_with_the_reason() -> None:
    assert MESSAGES.keys() | NOT_AUDITED.keys() == set(EventKind)
    assert not MESSAGES.keys() & NOT_AUDITED.keys()
    assert all(NOT_AUDITED.values())
    assert MESSAGES.keys() >= TOGETHER.keys()


def test_names_by_which_events_are_grouped_are_details_of_events() -> None:
    names = {*SAME, *ATTRIBUTES, *(name for details in TOGETHER.values() for name in details)}
    assert EventDetail.__annotations__.keys() >= names


def test_other_events_need_no_message(trail: Trail, exam: list[Dataset]) -> None:
    trail.bench.submitted(*exam)
    assert trail.report() == []
    with trail.bench.sessions() as session:
        assert audit.without_message(session, 10) == []


def test_a_backlog_of_events_becomes_messages_in_batches_without_waiting(trail: Trail) -> None:
    facts: EventDetail = {"calling_ae_title": "MODALITY", "sop_class_uid": MG, "patient_mismatch": False}
    with trail.bench.sessions.begin() as session:
        for _ in range(EVENTS_AT_ONCE + 1):
            audit.record(session, EventKind.INSTANCE_STORED, NOW, study_instance_uid="1.2.3", **facts)
    assert [counted(message) for message in trail.report()] == [[str(EVENTS_AT_ONCE)]]
    assert trail.report() == []
    assert [counted(message) for message in trail.report(seconds=10)] == [["1"]]


def test_the_chain_of_messages_is_unbroken(trail: Trail) -> None:
    for number in range(3):
        trail.take(f"1.2.3.{number}")
        trail.report(seconds=10)
    with trail.bench.sessions() as session:
        assert (audit_messages.first_fault(session), audit_messages.counts(session)[0]) == (None, 3)


class Searched:
    """A source that finds one study, or fails."""

    name = "pacs"

    def __init__(self, failure: str = "") -> None:
        self.failure = failure

    def find_studies(self, _query: StudyQuery) -> FoundStudies:
        if self.failure:
            raise TransientError(self.failure)
        return FoundStudies((ArchivedStudy("1.2.3"),))

    def list_series(self, _study: ArchivedStudy) -> list[ArchivedSeries]:
        return []

    def retrieve(self, *_: object) -> list[str]:
        return [self.failure] if self.failure else []

    def check(self) -> str:
        return ""


@pytest.mark.parametrize("failure", ["", "PACS does not answer."])
def test_a_query_and_a_retrieval_of_a_person_are_messages_without_the_patient(trail: Trail, failure: str) -> None:
    source = RecordedSource(Searched(failure), trail.bench.sessions, Actor("os:anna", "node"))
    trail.bench.clock.time = datetime.now(UTC)
    with suppress(TransientError):
        source.find_studies(StudyQuery(patient_id="P1", accession_number="A-1"))
    source.retrieve(ArchivedStudy("1.2.3"), [], lambda _: None, lambda: None)
    query, retrieval = (one.message.decode() for one in trail.report())
    assert 'csd-code="110112"' in query
    assert "os:anna" in query
    assert "P1" not in query
    (keys,) = ElementTree.fromstring(query).iter("ParticipantObjectQuery")
    assert b64decode(keys.text or "") == b"PatientID=withheld, AccessionNumber=withheld"
    assert "asked source pacs to send the study" in retrieval
    outcomes = [ElementTree.fromstring(one)[0].attrib["EventOutcomeIndicator"] for one in (query, retrieval)]
    assert outcomes == (["4", "4"] if failure else ["0", "0"])
    with trail.bench.sessions() as session:
        (facts,) = sources.facts(session, {"pacs": CGetSettings(kind="c-get", host="h", port=104)})
    assert (facts.fails, facts.last_failure) == (bool(failure), failure)
