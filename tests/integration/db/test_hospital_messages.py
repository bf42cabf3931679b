"""HL7 messages taken by the real handler, on both databases: two hospitals with the same numbers, and odd values."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from glam_node.node.bootstrap.base_node import BaseNode
from glam_node.node.bootstrap.hospital import hospital_messages
from glam_node.node.db import imaging_orders, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.standing import set_standing
from glam_node.node.db.tables import ImagingOrderRow
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.imaging_order import order_key
from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.domain.job import Priority
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.domain.study import Holder, Standing
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.imaging_orders import release_read_studies
from glam_node.settings.hl7 import HL7ListenerSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.builders import NOW, STUDY_UID, sop_instance

Send = Callable[..., bytes]


@pytest.fixture
def send(sessions: SessionFactory, tmp_path: Path) -> Send:
    """Return a function that has a message answered, and returns the answer; `authority` is that of the site."""

    def answered(data: bytes | str, authority: str = "HOSP", **more: Any) -> bytes:
        chosen = HL7ListenerSettings(
            port=1,
            senders=("RIS",),
            assigning_authority=authority,
            release_on=("final_report", "completed_order"),
            fetch_from="pacs",
            patient_corrected="follow",
            patient_merged="follow",
            **more,
        )
        node = BaseNode(
            Settings.model_construct(hl7=chosen, storage=StorageSettings(root=tmp_path), destinations={}),
            sessions,
            InstanceStore(tmp_path),
        )
        text = data if isinstance(data, bytes) else data.encode()
        return hospital_messages(node, refused).answer(text, "10.0.0.6") or b""

    return answered


def refused(_kind: EventKind, _detail: EventDetail) -> None:
    """Record no refusal."""


def message(kind: str, *segments: str) -> str:
    """Return a message of the RIS."""
    return "".join(f"{one}\r" for one in (f"MSH|^~\\&|RIS||NODE||20260101||{kind}|C1|P|2.5.1", *segments))


def reported(patient: str, accession: str = "A-1") -> str:
    """Return the final report of a first read."""
    return message("ORU^R01", f"PID|1||{patient}", "OBR|1" + "|" * 17 + accession + "|" * 7 + "F")


def ordered(patient: str, control: str = "NW", priority: str = "S", accession: str = "A-1") -> str:
    """Return an order."""
    request = "OBR|1" + "|" * 17 + accession
    return message("ORM^O01", f"PID|1||{patient}", f"ORC|{control}", f"TQ1|1||||||||{priority}", request)


def hold_study(sessions: SessionFactory, issuer: str = "", universal_id: str = "", patient_id: str = "P1") -> None:
    """Record a study that a rule holds."""
    qualifiers = [{"UniversalEntityID": universal_id}] if universal_id else []
    header = {"PatientID": patient_id, "IssuerOfPatientID": issuer, "IssuerOfPatientIDQualifiersSequence": qualifiers}
    image = sop_instance("R CC", identity=identity_of(header, STUDY_UID))
    with sessions.begin() as session:
        studies.add_instance(session, image, StudyAttributes(patient_id, issuer, "A-1"))
        found = studies.get(session, STUDY_UID)
        assert found is not None
        set_standing(session, found, Standing.HELD, "by a rule", held_by=Holder.RULE)


@pytest.fixture
def study(sessions: SessionFactory) -> None:
    """Record a study that a rule holds, of the patient and order in the messages."""
    hold_study(sessions)


def is_released(sessions: SessionFactory, authority: str) -> bool:
    """Have the dispatcher release what is read, and return whether the study is free."""
    with sessions.begin() as session:
        release_read_studies(session, NOW, authority)
        found = studies.get(session, STUDY_UID)
    assert found is not None
    return found.standing is Standing.FREE


def rows(sessions: SessionFactory) -> list[ImagingOrderRow]:
    with sessions() as session:
        return list(session.scalars(select(ImagingOrderRow).order_by(ImagingOrderRow.changed_at)))


@pytest.mark.parametrize(
    ("site", "issuer", "universal_id", "patient", "releases"),
    [
        ("HOSP", "", "", "P1^^^HOSP", True),
        ("HOSP", "", "", "P1^^^hosp&1.2.3&ISO", True),
        ("HOSP", "", "", "P1", True),
        ("HOSP", "", "", "P1^^^OTHER", False),
        ("HOSP", "", "", "P1^^^&9.9.9&ISO", False),
        ("HOSP", "HOSP", "1.2.3", "P1^^^HOSP&9.9.9&ISO", False),
        ("HOSP", "HOSP", "1.2.3", "P1^^^&1.2.3&ISO", True),
        ("HOSP", "OTHER", "", "P1", False),
        ("HOSP", "OTHER", "", "P1^^^OTHER", True),
        ("", "HOSP", "", "P1^^^HOSP", True),
        ("", "HOSP", "", "P1^^^OTHER", False),
        ("", "HOSP", "", "P1", False),
        ("", "", "", "P1", True),
        ("", "", "", "P1^^^OTHER", False),
    ],
)
def test_only_a_report_of_the_same_assigning_authority_releases_a_study(
    sessions: SessionFactory, send: Send, site: str, issuer: str, universal_id: str, patient: str, releases: bool
) -> None:
    hold_study(sessions, issuer, universal_id)
    assert b"MSA|AA" in send(reported(patient), site)
    assert is_released(sessions, site) is releases


def test_the_orders_of_two_hospitals_with_the_same_numbers_are_two(sessions: SessionFactory, send: Send) -> None:
    hold_study(sessions)
    for text in (ordered("P1", priority="R"), ordered("P1^^^OTHER"), reported("P1^^^OTHER")):
        assert b"MSA|AA" in send(text)
    assert [(one.assigning_authority, one.read_at is None) for one in rows(sessions)] == [
        ("HOSP", True),
        ("OTHER", False),
    ]
    with sessions() as session:
        found = studies.get(session, STUDY_UID)
        assert found is not None
        assert imaging_orders.priority_of(session, found, "HOSP") is Priority.SCREENING
    assert not is_released(sessions, "HOSP")
    send(ordered("P1^^^OTHER", "CA"))
    assert [one.fetch_state for one in rows(sessions)] == ["WAITING", "WITHDRAWN"]


@pytest.mark.parametrize(("stated", "patient", "same"), [("", "P1", 1), ("HOSP", "P1", 1), ("OTHER", "P1", 2)])
def test_an_order_that_was_recorded_without_its_authority_in_the_key_is_found_again(
    sessions: SessionFactory, send: Send, stated: str, patient: str, same: int
) -> None:
    send(ordered(f"P1^^^{stated}"), "")
    with sessions.begin() as session:
        (row,) = session.scalars(select(ImagingOrderRow))
        row.order_key = order_key("A-1", PatientIdentifier("P1"))
    send(ordered(patient, "CA"))
    found = rows(sessions)
    assert len(found) == same
    assert [one.cancelled for one in found if one.assigning_authority == "HOSP"] == [True]


@pytest.mark.parametrize("patient", ["A", "B"])
@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_report_concerns_a_study_whose_patient_id_was_merged_before_the_images_came(
    sessions: SessionFactory, send: Send, patient: str, is_read_first: bool
) -> None:
    steps = [reported(f"{patient}^^^HOSP"), message("ADT^A40", "PID|1||B^^^HOSP", "MRG|A^^^HOSP")]
    for text in steps if is_read_first else reversed(steps):
        assert b"MSA|AA" in send(text)
    hold_study(sessions, patient_id="A")
    assert is_released(sessions, "HOSP")


def test_a_merge_keeps_what_only_the_order_of_the_prior_id_states(sessions: SessionFactory, send: Send) -> None:
    for text in (ordered("A"), reported("A"), ordered("B", "NA", ""), ordered("A^^^OTHER", "NA", "")):
        assert b"MSA|AA" in send(text)
    assert b"MSA|AA" in send(message("ADT^A40", "PID|1||B^^^HOSP", "MRG|A^^^HOSP"))
    one, other = sorted(rows(sessions), key=lambda row: row.assigning_authority)
    assert (one.patient_id, one.priority, one.fetch_state, one.read_at is None) == ("B", 0, "WAITING", False)
    assert (other.patient_id, other.priority) == ("A", None)


TIMES = ["99991231", "00010101", "00010101000000+1400", "99991231235959-1200", "20260101000000+9959", "٢٠٢٦٠١٠١"]
TIMES += ["18991231", "22010101", "20260230", "2026010124", "20260101000000.123456789+0100"]
TEXTS = [
    "",
    '""',
    "P\\X00\\1",
    "P\0",
    "x" * 300,
    "\U0001f600" * 256,
    "a" * 3000,
    "*",
    "\\X0D\\",
    "\\XFFFE\\",
    "^^^",
    "&&&",
]
TEXTS += [
    "P1^^^HOSP",
    "P1^^^\\X00\\&1.2&ISO",
    "P1~P1~P2",
    "1.2." + "9" * 60,
    "1.2.3\0",
    "\ufeff",
    "\ud7ff",
    "\x1c",
    "\x0b",
]
ZONES = st.sampled_from(["", "+1400", "-1200", "+0000", "-9900"])
ANY_TIME = st.builds(lambda moment, zone: f"{moment:%Y%m%d%H%M%S}".zfill(14) + zone, st.datetimes(), ZONES)
TIME = st.one_of(st.sampled_from(TIMES), ANY_TIME)
TEXT = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20))
ANY_VALUE = st.one_of(TEXT, TIME)
PID = "PID|1||P1^^^HOSP||Muster^Anna||19600131|F"
KINDS = {
    "ADT^A08": (PID,),
    "ADT^A40": (PID, "MRG|P2^^^HOSP"),
    "ORM^O01": (PID, "ORC|NW", "TQ1|1||||||20260101||S", "OBR|1" + "|" * 17 + "A-1" + "|" * 13 + "why"),
    "OMI^O23": (PID, "ORC|XO", "OBR|1", "IPC|A-1|R|1.2.3"),
    "ORU^R01": (PID, "OBR|1" + "|" * 17 + "A-1" + "|" * 7 + "F", "OBX|1|ST|113014||1.2.3"),
}


SEGMENTS = [one for segments in KINDS.values() for one in segments]
TIMES_AT = [("TQ1", 7, ""), ("ORC", 7, "1^^^"), ("OBR", 27, "1^^^"), ("OBR", 36, ""), ("PID", 7, "")]
"""Segments, fields and what comes before the value, of the times that the node reads."""
TEXTS_AT = [
    ("PID", 3, ""),
    ("PID", 3, "P9~P1^^^"),
    ("PID", 5, ""),
    ("PID", 8, ""),
    ("MRG", 1, ""),
    ("MRG", 1, "P2^^^&"),
]
TEXTS_AT += [("ORC", 1, ""), ("ORC", 5, ""), ("TQ1", 9, ""), ("OBR", 18, ""), ("OBR", 25, ""), ("OBR", 31, "")]
TEXTS_AT += [("IPC", 1, ""), ("IPC", 3, ""), ("OBX", 3, ""), ("OBX", 5, "")]
HEADER_AT = [("MSH", number, "") for number in (1, 2, 3, 8, 9, 10, 11, 14, 17)]


MUTATIONS = [(TIMES_AT, TIME), (TEXTS_AT, TEXT), (TEXTS_AT, ANY_VALUE), (HEADER_AT, ANY_VALUE)]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a message of which some fields have odd values, or some bytes are others."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    lines = message(kind, *KINDS[kind]).split("\r")[:-1]
    for places, values in draw(st.lists(st.sampled_from(MUTATIONS), max_size=4)):
        segment, number, before = draw(st.sampled_from(places))
        place = next((place for place, line in enumerate(lines) if line.startswith(segment)), 0)
        fields = lines[place].split("|")
        fields += [""] * (number + 1 - len(fields))
        fields[number] = before + draw(values)
        lines[place] = "|".join(fields)
    if draw(st.booleans()):
        lines.insert(draw(st.integers(1, len(lines))), draw(st.sampled_from(SEGMENTS)))
    data = bytearray("\r".join(lines).encode("utf-8", "replace"))
    for _ in range(draw(st.sampled_from([0, 0, 1, 5]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated())
def test_no_content_of_a_message_has_it_sent_again(send: Send, study: None, data: bytes) -> None:
    answer = send(data)
    assert answer == b"" or any(b"MSA|" + code in answer for code in (b"AA|", b"AR|", b"CA|", b"CR|"))


@pytest.mark.parametrize("stated", TIMES)
def test_a_time_that_no_order_can_have_counts_as_not_stated(sessions: SessionFactory, send: Send, stated: str) -> None:
    text = message("ORM^O01", PID, "ORC|NW", f"TQ1|1||||||{stated}", "OBR|1" + "|" * 17 + "A-1")
    assert b"MSA|AA" in send(text)
    (row,) = rows(sessions)
    assert (row.scheduled_at is None) is (not stated.endswith("+0100"))
    assert row.next_attempt_at is not None
    assert row.next_attempt_at <= datetime.now(UTC)


@pytest.mark.parametrize("value", ["P\\X00\\1", "P\0001", "x" * 300])
@pytest.mark.parametrize(
    ("segments", "place"),
    [
        (("PID|1||{}", "ORC|NW", "OBR|1" + "|" * 17 + "A-1"), b"PID^1^3"),
        ((PID, "ORC|NW", "OBR|1" + "|" * 17 + "{}"), b"OBR^1^18"),
        ((PID, "MRG|{}"), b"MRG^1^1"),
    ],
)
def test_a_number_that_no_database_can_store_is_rejected_with_its_place(
    send: Send, segments: tuple[str, ...], place: bytes, value: str
) -> None:
    kind = "ADT^A40" if segments[-1].startswith("MRG") else "ORM^O01"
    answer = send(message(kind, *(one.format(value) for one in segments)))
    assert b"MSA|AR" in answer
    assert b"ERR||" + place in answer


def test_a_message_with_too_many_orders_is_rejected(send: Send) -> None:
    orders = [line for number in range(1001) for line in ("ORC|NW", "OBR|1" + "|" * 17 + f"A-{number}")]
    assert b"MSA|AR" in send(message("ORM^O01", PID, *orders))
    assert b"MSA|AR" in send(message("ORM^O01", PID, "ORC|NW", *["NTE|1"] * 200_000))
