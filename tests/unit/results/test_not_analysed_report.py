"""The report that gives the reason for missing results."""

import pytest

from tests.unit.results.analysed import analysed_exam


@pytest.mark.parametrize(("attempted", "outcome"), [(False, "Not Attempted"), (True, "Failed")])
def test_the_outcome_is_a_code_and_the_reason_a_comment(attempted: bool, outcome: str) -> None:
    notice = analysed_exam().notice(attempted=attempted)
    group = notice.ContentSequence[-1].ContentSequence[0].ContentSequence
    meanings = [item.ConceptCodeSequence[0].CodeMeaning for item in group if item.ValueType == "CODE"]
    assert meanings == [outcome]
    assert "no image can be analysed: 4 of other views" in " ".join(
        item.TextValue for item in group if item.ValueType == "TEXT"
    )


def test_the_report_belongs_to_the_patient_and_names_the_images() -> None:
    exam = analysed_exam()
    notice = exam.notice()
    source = exam.source("R CC")
    assert (notice.PatientName, notice.StudyInstanceUID) == (source.PatientName, source.StudyInstanceUID)
    evidence = notice.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in evidence} == set(exam.sources)


def test_each_reason_has_its_own_uid_and_the_same_reason_the_same() -> None:
    exam = analysed_exam()
    assert exam.notice().SOPInstanceUID == exam.notice().SOPInstanceUID != exam.notice(attempted=True).SOPInstanceUID
