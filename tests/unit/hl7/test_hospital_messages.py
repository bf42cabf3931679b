"""Patients, orders and reports as messages of different systems state them."""

from datetime import UTC, datetime

import pytest

from glam_node.node.domain.imaging_order import OrderMessage, OrderStep
from glam_node.node.domain.job import Priority
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.hl7.answer import Rejected
from glam_node.node.hl7.message import Message, NotHL7, parse
from glam_node.node.hl7.orders import announced_orders
from glam_node.node.hl7.patients import merges, stated_patient

PID = "PID|1||P1^^^HOSP||Muster^Anna"


def message(*segments: str, kind: str = "ORM^O01") -> Message:
    lines = [f"MSH|^~\\&|RIS||||||{kind}|1|P|2.5.1", *segments]
    return parse("\r".join(lines).encode())


def one_order(*segments: str, kind: str = "ORM^O01", fields: tuple[str, ...] = ("IPC-1", "OBR-18")) -> OrderMessage:
    (found,) = announced_orders(message(PID, *segments, kind=kind), fields)
    return found


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Muster^Anna^Maria^jr^Dr", "Muster^Anna^Maria^Dr^jr"),
        ("van der Berg&van der&Berg^Anna", "van der Berg^Anna"),
        ("Mädchen^Anna^^^^^M~Muster^Anna^^^^^L", "Muster^Anna"),
        ("Yamada^Hanako^^^^^L^A~山田^花子^^^^^L^I~やまだ^はなこ^^^^^L^P", "Yamada^Hanako=山田^花子=やまだ^はなこ"),
        ("O\\S\\Neill^A\\T\\B", "O Neill^A&B"),
        ('""', ""),
        ("", ""),
    ],
)
def test_a_name_gets_the_form_of_dicom(field: str, name: str) -> None:
    assert stated_patient(message(f"PID|1||P1||{field}")).name == name


def test_every_identifier_has_its_assigning_authority() -> None:
    found = stated_patient(message("PID|1||P1^^^HOSP&1.2.3&ISO^MR~P2~^^^X~P1^^^HOSP&1.2.3&ISO"))
    assert found.identifiers == (PatientIdentifier("P1", "HOSP", "1.2.3"), PatientIdentifier("P2"))


def test_a_merge_may_have_several_pairs() -> None:
    found = merges(message("PID|1||B", "MRG|A", "PID|2||D", "MRG|C~E", kind="ADT^A40"))
    assert [(one.prior.value, one.surviving.identifiers[0].value) for one in found] == [
        ("A", "B"),
        ("C", "D"),
        ("E", "D"),
    ]


@pytest.mark.parametrize("segments", [("MRG|A",), ("PID|1||B",), ("PID|1||B", "MRG|"), ("PID|1||B", "MRG|B")])
def test_a_merge_without_both_identifiers_is_rejected(segments: tuple[str, ...]) -> None:
    with pytest.raises(Rejected):
        merges(message(*segments, kind="ADT^A40"))


@pytest.mark.parametrize(
    ("control", "status", "step"),
    [
        ("NW", "", OrderStep.PLACED),
        ("XO", "SC", OrderStep.CHANGED),
        ("HD", "", OrderStep.ON_HOLD),
        ("RL", "", OrderStep.PLACED),
        ("CA", "", OrderStep.CANCELLED),
        ("SC", "CA", OrderStep.CANCELLED),
        ("SC", "CM", OrderStep.COMPLETED),
        ("SC", "IP", OrderStep.NOTED),
        ("", "", OrderStep.NOTED),
    ],
)
def test_the_step_of_an_order_is_in_orc(control: str, status: str, step: OrderStep) -> None:
    assert one_order(f"ORC|{control}||||{status}", "OBR|1" + "|" * 17 + "A-1").step is step


@pytest.mark.parametrize(
    ("segments", "priority"),
    [
        (("ORC|NW||||||1^^^^^S",), Priority.URGENT),
        (("ORC|NW", "TQ1|1||||||||A"), Priority.URGENT),
        (("ORC|NW", "TQ1|1||||||||R"), Priority.SCREENING),
        (("ORC|NW", "TQ1|1||||||||T"), None),
        (("ORC|NW",), None),
    ],
)
def test_the_priority_of_an_order_may_be_in_several_fields(
    segments: tuple[str, ...], priority: Priority | None
) -> None:
    assert one_order(*segments, "OBR|1" + "|" * 17 + "A-1").priority is priority


def test_the_accession_number_is_in_the_fields_that_the_site_names() -> None:
    request = "OBR|1|P|F" + "|" * 15 + "A-1"
    assert one_order("ORC|NW|P|F^RIS", request).accession_number == "A-1"
    assert one_order("ORC|NW|P|F^RIS", request, fields=("ORC-3.1",)).accession_number == "F"
    assert one_order("ORC|NW|P|F^RIS", request, fields=("ORC-3.2", "OBR-18")).accession_number == "RIS"
    with pytest.raises(Rejected, match=r"No Accession Number in ZZZ-1 and no Study Instance UID"):
        one_order("ORC|NW", request, fields=("ZZZ-1",))


@pytest.mark.parametrize(
    "segment", ["ZDS|1.2.3^100^Application^DICOM", "IPC|A|R|1.2.3", "OBX|1|ST|113014^DICOM Study^DCM||1.2.3"]
)
def test_the_study_instance_uid_may_be_in_several_fields(segment: str) -> None:
    assert one_order("ORC|NW", "OBR|1", segment).study_instance_uid == "1.2.3"


def test_the_id_of_the_sites_authority_counts_among_several() -> None:
    several = "PID|1||N1^^^NATION~P1^^^Hosp"
    segments = (several, "ORC|NW", "OBR|1" + "|" * 17 + "A-1")
    found = [announced_orders(message(*segments), ("OBR-18",), one)[0].patient.value for one in ("HOSP", "", "OTHER")]
    assert found == ["P1", "N1", "N1"]


def test_a_message_may_have_several_orders() -> None:
    segments = [line for number in (1, 2) for line in ("ORC|NW", f"OBR|{number}" + "|" * 17 + f"A-{number}")]
    found = announced_orders(message(PID, *segments), ("OBR-18",))
    assert [one.accession_number for one in found] == ["A-1", "A-2"]
    assert len({one.key for one in found}) == 2


@pytest.mark.parametrize(
    ("status", "step"), [("F", OrderStep.REPORTED), ("C", OrderStep.REPORTED), ("P", OrderStep.NOTED)]
)
def test_a_report_counts_when_it_is_final_or_corrected(status: str, step: OrderStep) -> None:
    request = "OBR|1" + "|" * 17 + "A-1" + "|" * 7 + status
    assert one_order(request, kind="ORU^R01").step is step


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        ("20261201103000+0100", datetime(2026, 12, 1, 9, 30, tzinfo=UTC)),
        ("2026120110+0100", datetime(2026, 12, 1, 9, 0, tzinfo=UTC)),
        ("202612011030+0100", datetime(2026, 12, 1, 9, 30, tzinfo=UTC)),
        ("20261301", None),
        ("tomorrow", None),
    ],
)
def test_the_scheduled_time_has_a_time_zone(stated: str, moment: datetime | None) -> None:
    assert one_order("ORC|NW", f"TQ1|1||||||{stated}", "OBR|1" + "|" * 17 + "A-1").scheduled_at == moment


@pytest.mark.parametrize("status", ["", "CM", "CA"])
def test_an_unknown_order_control_is_rejected_with_its_place(status: str) -> None:
    with pytest.raises(Rejected, match="It knows NW") as caught:
        one_order(f"ORC|ZZ||||{status}", "OBR|1" + "|" * 17 + "A-1")
    assert (caught.value.code, caught.value.segment, caught.value.field) == ("103", "ORC", 1)


def test_a_missing_accession_number_is_placed_in_a_segment_that_is_there() -> None:
    with pytest.raises(Rejected) as caught:
        one_order("ORC|NW", "OBR|1")
    assert (caught.value.segment, caught.value.field) == ("OBR", 18)


def test_an_unknown_character_set_is_named_as_unknown() -> None:
    with pytest.raises(NotHL7, match=r"does not know\. It knows UNICODE UTF-8, 8859/1"):
        parse(b"MSH|^~\\&|RIS||||||ORM^O01|1|P|2.5.1||||||KLINGON\r")
