"""The HL7 message of a result: valid, with the patient of the images, and safe whatever the values are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind, Findings
from glam_node.node.domain.job import Priority
from glam_node.node.errors import PermanentError
from glam_node.node.hl7.message import Message, parse
from glam_node.node.hl7.template import TemplateProblem
from glam_node.node.results.example_message import example_contents
from glam_node.node.results.message_form import BUILT_IN_TEMPLATE, MessageForm
from glam_node.node.results.not_analysed_report import Notice
from glam_node.node.results.result_message import (
    MessageContent,
    ReferencedObject,
    control_id_of,
    write_result_message,
)
from tests.hl7.engine import validated
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, failed

FORM = MessageForm("ris")
REPORT = ReferencedObject("measurement_report", "SR", "1.2", "1.3", "1.4")


def content_of(exam: Analysed, **more: Any) -> MessageContent:
    return MessageContent(exam.findings, list(exam.sources.values()), (REPORT,), **more)


def written(content: MessageContent, form: MessageForm = FORM, uid: str = "2.25.1") -> Message:
    """Return the message after hl7apy has validated it."""
    data = write_result_message(form, content, IDENTITY, uid)
    message = parse(data)
    validated("\r".join("|".join(_fields(segment)) for segment in message.segments))
    return message


def _fields(segment: Any) -> list[str]:
    return [segment.fields[0], *segment.fields[2:]] if segment.name == "MSH" else list(segment.fields)


def observations(message: Message, code: str, part: str = "") -> list[Any]:
    found = [one for one in message.segments if one.name == "OBX" and one.component(3) == code]
    return [one for one in found if not part or one.component(4) == part]


def test_patient_and_study_are_those_of_the_images() -> None:
    exam = analysed_exam().with_source_elements(
        SpecificCharacterSet="ISO_IR 192", PatientName="Bür|ger^Ann^Eva^Dr^MD=山田^花=やまだ^はな", PatientID="P&1",
        IssuerOfPatientID="HOSP", PatientBirthDate="19600131", PatientSex="F", AccessionNumber="A~1",
        StudyDate="20260102", StudyTime="101112.5", TimezoneOffsetFromUTC="+0100",
    )  # fmt: skip
    message = written(content_of(exam))
    patient, order = message.first("PID"), message.first("OBR")
    assert patient is not None
    assert order is not None
    assert patient.fields[3] == "P\\T\\1^^^HOSP"
    assert patient.fields[5] == "Bür\\F\\ger^Ann^Eva^MD^Dr^^^A~山田^花^^^^^^I~やまだ^はな^^^^^^P"
    assert patient.fields[7:9] == ("19600131", "F")
    assert [order.component(number) for number in (2, 3, 18)] == ["A~1"] * 3
    assert (order.field(7), order.field(25)) == ("20260102101112+0100", "P")
    assert message.header.field(18) == "UNICODE UTF-8"


def test_the_authority_and_the_procedure_are_coded_where_the_images_code_them() -> None:
    authority, procedure = Dataset(), Dataset()
    authority.UniversalEntityID, authority.UniversalEntityIDType = "1.2.3", "ISO"
    procedure.CodeValue, procedure.CodeMeaning, procedure.CodingSchemeDesignator = "MG1", "Screening", "99RIS"
    exam = analysed_exam().with_source_elements(
        IssuerOfPatientID="H", IssuerOfPatientIDQualifiersSequence=[authority], ProcedureCodeSequence=[procedure]
    )
    message = written(content_of(exam))
    assert message.segments[1].field(3).endswith("^^^H&1.2.3&ISO")
    assert message.segments[2].field(4) == "MG1^Screening^99RIS"


def test_scores_and_findings_are_coded_by_class_breast_and_view_and_flagged() -> None:
    message = written(content_of(analysed_exam()))
    parts = ["study", "L", "R", "R CC", "L CC", "R MLO", "L MLO"]
    scores = observations(message, "GLAM-MALIGNANT")
    assert [one.component(4) for one in scores] == parts
    assert {one.field(6) for one in scores} == {"%^Percent^UCUM"}
    assert [one.field(8) for one in scores] == ["A", "A", "", "", "A", "", "A"]
    assert [one.field(5) for one in observations(message, "GLAM-MALIGN-N")] == ["2", "0", "1", "0", "1"]
    assert [one.component(5) for one in observations(message, "111017")] == ["111242"]
    assert [one.field(9) for one in message.segments if one.name == "TQ1"] == ["A"]
    assert [one.field(5) for one in observations(message, "113014")] == [analysed_exam().findings.study_instance_uid]
    assert [one.component(5) for one in observations(message, "measurement_report")] == [
        "studies/1.2/series/1.3/instances/1.4"
    ]
    assert message.first("NTE").field(3).startswith("For research use")  # type: ignore[union-attr]
    numbers = [one.field(1) for one in message.segments if one.name == "OBX"]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize(
    ("priority", "code"), [(Priority.URGENT, "S"), (Priority.SCREENING, "R"), (Priority.BACKFILL, "R"), (None, "A")]
)
def test_a_rule_chooses_the_priority_of_the_message(priority: Priority | None, code: str) -> None:
    message = written(content_of(analysed_exam(), priority=priority))
    assert [one.field(9) for one in message.segments if one.name == "TQ1"] == [code]


def test_the_operating_point_of_a_view_decides_its_flag_where_the_package_states_one() -> None:
    message = written(example_contents()[0])
    flags = {one.component(4): (one.field(7), one.field(8)) for one in observations(message, "GLAM-MALIGNANT")}
    assert flags["L CC"] == ("<30", "A")
    assert flags["R CC"] == ("<30", "")
    assert flags["study"] == ("", "A")
    assert "L MLO" not in flags


def test_a_view_that_failed_is_remarked_and_no_flag_claims_that_it_is_normal() -> None:
    exam = analysed_exam(lesions=())
    exam = exam.with_images(replace(failed(exam.image("L CC"), "no breast | found"), remarks=("cut off",)))
    message = written(content_of(exam))
    remarks = observations(message, "121106", "L CC")
    assert [one.component(5) for one in remarks] == ["This image could not be analysed: no breast | found", "cut off"]
    assert {one.field(8) for one in message.segments if one.name == "OBX"} == {""}
    assert [one.field(9) for one in message.segments if one.name == "TQ1"] == ["R"]
    assert [one.component(5) for one in observations(message, "111017")] == ["111243"]


@pytest.mark.parametrize(("attempted", "code"), [(True, "111224"), (False, "111225")])
def test_a_study_that_was_not_analysed_has_the_reason_and_no_score(attempted: bool, code: str) -> None:
    exam = analysed_exam()
    none = Findings(exam.findings.study_instance_uid, exam.findings.algorithm, ())
    notice = Notice(attempted, "rule too_few: 1 of 4 views")
    message = written(MessageContent(none, list(exam.sources.values()), notice=notice))
    assert [one.component(5) for one in observations(message, "111064")] == [code]
    assert [one.component(5) for one in observations(message, "121106")] == [notice.sentence]
    assert {one.field(2) for one in message.segments if one.name == "OBX"} == {"ST", "CE", "TX"}


def test_a_later_final_result_is_a_correction_and_a_preliminary_one_stays_preliminary() -> None:
    for status, corrects, stated in (("P", True, "P"), ("F", False, "F"), ("F", True, "C"), ("R", True, "R")):
        content = content_of(analysed_exam(), corrects=corrects)
        message = written(content, replace(FORM, result_status=status))
        order = message.first("OBR")
        assert order is not None
        assert order.field(25) == stated


def test_the_control_id_depends_on_the_message_and_fits_its_field() -> None:
    ids = {control_id_of(uid) for uid in ("2.25.1", "2.25.2", "2.25.1")}
    assert len(ids) == 2
    assert {len(one) for one in ids} == {20}
    assert written(content_of(analysed_exam())).control_id == control_id_of("2.25.1")


def test_systems_and_mode_of_acknowledgement_are_those_of_the_settings() -> None:
    form = replace(
        FORM, sending_application="A|B", sending_facility="F", receiving_application="RIS",
        receiving_facility="H", enhanced=True,
    )  # fmt: skip
    header = written(content_of(analysed_exam()), form).header
    assert [header.component(number) for number in (3, 4, 5, 6, 15, 16)] == ["A|B", "F", "RIS", "H", "AL", "NE"]


def test_a_character_set_that_lacks_a_letter_is_named_without_the_letter() -> None:
    exam = analysed_exam().with_source_elements(SpecificCharacterSet="ISO_IR 192", PatientName="Łukasz^山")
    with pytest.raises(PermanentError) as caught:
        write_result_message(replace(FORM, character_set="iso-8859-2"), content_of(exam), IDENTITY, "2.25.1")
    assert "destinations.ris.character_set" in str(caught.value)
    assert "山" not in str(caught.value)
    exam = exam.with_source_elements(PatientName="Łukasz")
    data = write_result_message(replace(FORM, character_set="iso-8859-2"), content_of(exam), IDENTITY, "2.25.1")
    assert "Łukasz".encode("iso-8859-2") in data
    assert b"|8859/2" in data


def test_a_template_of_the_site_replaces_the_built_in_one(tmp_path: Path) -> None:
    path = tmp_path / "site.j2"
    built_in = BUILT_IN_TEMPLATE.read_text(encoding="utf-8")
    path.write_text(built_in.replace("|P|2.5.1", "|T|2.5.1").replace("TQ1|1||||||||{{ study.priority }}\n", ""))
    message = written(content_of(analysed_exam()), replace(FORM, template=path))
    assert message.header.field(11) == "T"
    assert message.first("TQ1") is None
    path.write_text(built_in.replace("{{ message.control_id }}", "1"))
    with pytest.raises(TemplateProblem, match=r"MSH-10 .* destinations\.ris\.template"):
        written(content_of(analysed_exam()), replace(FORM, template=path))


def test_no_finding_and_no_class_is_left_out_of_the_codes() -> None:
    message = written(content_of(analysed_exam()))
    for kind in FindingKind:
        assert observations(message, f"GLAM-{str(kind).upper()}")
