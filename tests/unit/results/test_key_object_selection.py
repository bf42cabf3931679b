"""The selection of positive views."""

import pytest
from pydicom.dataset import Dataset

from tests.unit.results.analysed import Analysed, analysed_exam, encoded
from tests.unit.results.presented import key_object_selection, presentation_states


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def selected(exam: Analysed, *others: Dataset) -> Dataset:
    selection = key_object_selection(exam, *others)
    assert selection is not None
    return selection


def references(selection: Dataset) -> list[str]:
    items = [item for item in selection.ContentSequence if "ReferencedSOPSequence" in item]
    return [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items]


def test_positive_views_and_other_results_are_referred_to(exam: Analysed) -> None:
    others = [*exam.segmentations(), exam.report(), *presentation_states(exam)]
    views = [exam.image(view).sop_instance_uid for view in ("L CC", "L MLO")]
    assert references(selected(exam, *others)) == [*views, *(str(other.SOPInstanceUID) for other in others)]


def test_every_referenced_object_is_evidence(exam: Analysed) -> None:
    selection = selected(exam, exam.report())
    (study,) = selection.CurrentRequestedProcedureEvidenceSequence
    series = [item for entry in study.ReferencedSeriesSequence for item in entry.ReferencedSOPSequence]
    assert {item.ReferencedSOPInstanceUID for item in series} == set(references(selection))


def test_no_selection_is_written_without_a_positive_view() -> None:
    assert key_object_selection(analysed_exam(64, 48, lesions=())) is None


def test_the_selection_is_titled_of_interest_and_states_research_use(exam: Analysed) -> None:
    selection = selected(exam)
    assert selection.ConceptNameCodeSequence[0].CodeValue == "113000"
    (text,) = [
        item.TextValue for item in selection.ContentSequence if item.ValueType == "TEXT" and "Views" in item.TextValue
    ]
    assert text.startswith("Views with findings: L CC, L MLO. For research use")
    assert "UNTRAINED" in text


def test_references_have_no_purpose(exam: Analysed) -> None:
    items = [item for item in selected(exam, exam.report()).ContentSequence if "ReferencedSOPSequence" in item]
    assert [item for item in items if "ConceptNameCodeSequence" in item] == []


def test_the_uid_of_a_selection_depends_on_its_references(exam: Analysed) -> None:
    assert encoded(selected(exam)) == encoded(selected(exam))
    assert selected(exam).SOPInstanceUID != selected(exam, exam.report()).SOPInstanceUID
