"""Tests of `audit show` and `audit verify` with a real database."""

import json
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import text

from glam_node.node.audit.message import Reporter
from glam_node.node.workflow.record.audit_trail import write_audit_messages
from glam_node.node.workflow.record.event_messages import Reporting
from glam_node.node.workflow.record.events import record_start, record_stop
from tests.builders import NOW
from tests.command_line import glam_node
from tests.integration.cli.conftest import Site
from tests.unit.workflow.workbench import Archive


@pytest.fixture
def audited(site: Site, exam: list[Dataset]) -> Site:
    """Return a site with three audit messages: start of a process, delivery of results, stop of the process."""
    bench = site.bench
    record_start(bench.sessions, "receiver", NOW)
    bench.run(bench.submitted(*exam))
    bench.deliver(Archive())
    record_stop(bench.sessions, "receiver", NOW)
    bench.clock.turn(60)
    write_audit_messages(bench.sessions, Reporting(Reporter("GLAMNODE", "", "node"), {}), bench.store, bench.clock())
    return site


def tamper(site: Site, statement: str) -> None:
    with site.bench.sessions.begin() as session:
        for trigger in ("audit_messages_stay", "audit_messages_are_kept"):
            session.execute(text(f"DROP TRIGGER {trigger}"))
        session.execute(text(statement))


def test_show_lists_messages_newest_first(audited: Site) -> None:
    told = glam_node("--settings", audited.settings_path, "audit", "show").stdout
    positions = [
        told.index(words) for words in ("Application Stop", "DICOM Instances Transferred", "Application Start")
    ]
    assert positions == sorted(positions)
    assert "3 messages, 3 of them were not sent: audit.host is unset" in told


def test_show_prints_json(audited: Site, exam: list[Dataset]) -> None:
    rows = json.loads(glam_node("--settings", audited.settings_path, "audit", "show", "--json").stdout)
    assert [row["sequence"] for row in rows] == [3, 2, 1]
    assert rows[1]["subject"] == str(exam[0].StudyInstanceUID)


def test_show_prints_the_messages_as_xml(audited: Site) -> None:
    lines = glam_node("--settings", audited.settings_path, "audit", "show", "--xml", "--limit", "2").stdout.splitlines()
    assert [ElementTree.fromstring(line).tag for line in lines] == ["AuditMessage"] * 2


def test_show_prints_no_patient_data(audited: Site, exam: list[Dataset]) -> None:
    told = glam_node("--settings", audited.settings_path, "audit", "show", "--xml").stdout
    assert str(exam[0].StudyInstanceUID) in told
    assert [one for one in (str(exam[0].PatientName), str(exam[0].PatientID)) if one in told] == []


def test_verify_says_that_a_chain_holds(audited: Site) -> None:
    told = glam_node("--settings", audited.settings_path, "audit", "verify").stdout
    assert told.startswith("3 audit messages, all unchanged; last hash ")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM audit_messages WHERE sequence = 2", "Audit message 2 is not as it was written: it is missing."),
        ("UPDATE audit_messages SET message = x'00' WHERE sequence = 1", "Audit message 1 is not as it was written"),
        ("UPDATE audit_messages SET message = 'text' WHERE sequence = 3", "Audit message 3 is not as it was written"),
    ],
)
def test_verify_names_the_first_broken_link(audited: Site, statement: str, told: str) -> None:
    tamper(audited, statement)
    assert told in glam_node("--settings", audited.settings_path, "audit", "verify", expect=1).stdout
