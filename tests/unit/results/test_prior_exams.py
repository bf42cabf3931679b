"""Prior exams in the report, the summary and the HL7 message: earlier scores, the change, and places, as context."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from glam_node import result_kinds
from glam_node.inference.findings import FindingKind
from glam_node.node.hl7.message import parse
from glam_node.node.results import codes
from glam_node.node.results.message_form import MessageForm
from glam_node.node.results.prior_exams import CONTEXT, ShownPrior, prior_sentences
from glam_node.node.results.result_message import MessageContent, write_result_message
from glam_node.node.results.scores import shown_finding_score
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam
from tests.unit.results.with_priors import prior_of, report_with, results_with


@pytest.fixture(scope="module")
def exam() -> Analysed:
    """Return an exam with a benign and a malignant lesion in the left breast."""
    return analysed_exam()


def groups(report: Dataset) -> dict[str, Dataset]:
    """Return the measurement groups by their tracking identifier."""
    found: dict[str, Dataset] = {}

    def search(item: Any) -> None:
        for child in item.get("ContentSequence", ()):
            names = [one for one in child.get("ContentSequence", ()) if named(one) == "112039"]
            if names:
                found[str(names[0].TextValue)] = child
            search(child)

    search(report)
    return found


def named(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def numbers(group: Dataset) -> dict[str, float]:
    return {
        named(one): float(one.MeasuredValueSequence[0].NumericValue)
        for one in group.ContentSequence
        if one.ValueType == "NUM"
    }


def texts(group: Dataset, code: str) -> list[str]:
    return [str(one.TextValue) for one in group.ContentSequence if named(one) == code]


def test_the_report_has_a_group_for_each_prior_exam_and_breast(exam: Analysed) -> None:
    report = report_with(exam, prior_of(exam), prior_of(exam, date="20210405"))
    found = groups(report)
    for date in ("2023-04-05", "2021-04-05"):
        assert {f"Prior exam {date}, {part}" for part in ("study", "right breast", "left breast")} <= found.keys()
    group = found["Prior exam 2023-04-05, left breast"]
    now = numbers(found["Left breast"])
    then = numbers(group)
    assert then["GLAM-MALIGN-PRI"] == pytest.approx(now["GLAM-MALIGNANT"] / 2, abs=0.01)
    assert then["GLAM-MALIGN-CHG"] == pytest.approx(now["GLAM-MALIGNANT"] / 2, abs=0.01)
    assert then["GLAM-BENIGN-CHG"] == 0
    assert texts(group, "C2348792") == ["2023-04-05"]
    assert CONTEXT in texts(found["Prior exam 2023-04-05, study"], "121106")


def test_an_earlier_score_has_another_name_than_a_present_one(exam: Analysed) -> None:
    found = groups(report_with(exam, prior_of(exam)))
    present = {name for title, group in found.items() if "Prior" not in title for name in numbers(group)}
    earlier = {name for title, group in found.items() if "Prior" in title for name in numbers(group)}
    assert not present & earlier


def test_the_images_of_prior_exams_are_other_evidence(exam: Analysed) -> None:
    prior = prior_of(exam)
    report = report_with(exam, prior)
    (study,) = report.PertinentOtherEvidenceSequence
    assert study.StudyInstanceUID == prior.study_instance_uid
    named_images = {
        one.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert named_images == {one.sop_instance_uid for one in prior.images}
    (own,) = report.CurrentRequestedProcedureEvidenceSequence
    assert own.StudyInstanceUID == exam.findings.study_instance_uid


def test_a_finding_names_the_one_at_a_corresponding_place(exam: Analysed) -> None:
    found = groups(report_with(exam, prior_of(exam)))
    said = {title: texts(group, "111021") for title, group in found.items() if texts(group, "111021")}
    assert said == {
        "L CC malignant 1": [
            "A malignant finding of the exam of 2023-04-05 (31 %) lies at a corresponding place, 4 mm away."
        ]
    }


def test_scores_of_another_model_have_no_change(exam: Analysed) -> None:
    group = groups(report_with(exam, prior_of(exam, same_model=False)))["Prior exam 2023-04-05, study"]
    assert numbers(group).keys() == {"GLAM-MALIGN-PRI", "GLAM-BENIGN-PRI"}
    assert any("another model" in text for text in texts(group, "121106"))


def test_a_report_without_prior_exams_is_the_one_that_was_written_before(exam: Analysed) -> None:
    assert report_with(exam).to_json() == exam.report_beside([]).to_json()


def test_results_with_and_without_prior_exams_have_other_uids(exam: Analysed) -> None:
    kinds = (result_kinds.MEASUREMENT_REPORT, result_kinds.ENCAPSULATED_PDF, result_kinds.SEGMENTATION)
    without, with_one, with_other = (
        {
            one.SOPClassUID: one.SOPInstanceUID
            for one in results_with(exam, *priors, kinds=kinds)
            if one.Modality != "SEG"
        }
        for priors in ((), (prior_of(exam),), (replace(prior_of(exam), study_date="20220405"),))
    )
    for sop_class, uid in without.items():
        assert len({uid, with_one[sop_class], with_other[sop_class]}) == 3


@pytest.mark.parametrize("comprehensive", [False, True])
def test_highdicom_reads_the_report(exam: Analysed, comprehensive: bool, tmp_path: Any) -> None:
    report = report_with(exam, prior_of(exam), comprehensive=comprehensive)
    report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    content = srread(tmp_path / "sr.dcm").content
    assert len(content) == 1
    assert str(content[0].name.value) == codes.IMAGING_MEASUREMENT_REPORT.value


def test_the_sentences_give_dates_scores_changes_and_places(exam: Analysed) -> None:
    context, first, second, place = prior_sentences(
        [prior_of(exam), prior_of(exam, same_model=False, date="20210405")], exam.findings, IDENTITY
    )
    assert first.startswith("Prior exam of 2023-04-05: malignant ")
    assert "percentage points since then)" in first
    assert first.endswith("(no change since then).")
    assert place == (
        "L CC malignant 1: a malignant finding of the exam of 2023-04-05 (31 %) "
        "lies at a corresponding place, 4 mm away."
    )
    assert second.endswith(", by another model (Threshold 0), so that no change is given.")
    assert context == CONTEXT


def test_the_page_of_the_summary_has_the_sentences(exam: Analysed) -> None:
    (page,) = results_with(exam, prior_of(exam), kinds=(result_kinds.ENCAPSULATED_PDF,))
    (only,) = PdfReader(BytesIO(page.EncapsulatedDocument)).pages
    text = " ".join(only.extract_text().split())
    assert f"Remarks. {CONTEXT}" in text
    assert "Prior exam of 2023-04-05: malignant" in text
    assert CONTEXT in text


def test_the_message_has_the_sentences_as_comments_on_the_study(exam: Analysed) -> None:
    content = MessageContent(exam.findings, list(exam.sources.values()), priors=(prior_of(exam),))
    message = parse(write_result_message(MessageForm("ris"), content, IDENTITY, "2.25.1"))
    comments = [one for one in message.segments if one.name == "OBX" and one.component(3) == "121106"]
    assert {one.component(4) for one in comments} == {"study"}
    said = [one.component(5) for one in comments]
    assert said[0] == CONTEXT
    assert said[1].startswith("Prior exam of 2023-04-05: malignant")


def test_no_sentence_calls_anything_a_diagnosis_or_the_same_lesion(exam: Analysed) -> None:
    said = " ".join(prior_sentences([prior_of(exam)], exam.findings, IDENTITY)).replace(CONTEXT, "")
    assert not any(word in said.lower() for word in ("diagnos", "same lesion", "cancer", "grown", "progress"))


def test_a_page_without_room_for_all_keeps_the_context_the_scores_and_malignant_places(exam: Analysed) -> None:
    priors = []
    image = exam.image("L CC")
    benign = next(place for place, one in enumerate(image.findings) if one.kind == "benign")
    for date in ("20230405", "20210405"):
        prior = prior_of(exam, date=date)
        (pair,) = prior.correspondences
        priors.append(replace(prior, correspondences=(*(replace(pair, finding=benign),) * 9, pair)))
    (page,) = results_with(exam, *priors, kinds=(result_kinds.ENCAPSULATED_PDF,))
    (only,) = PdfReader(BytesIO(page.EncapsulatedDocument)).pages
    text = " ".join(only.extract_text().split())
    assert "more remarks" in text
    assert CONTEXT in text
    for day in ("2023-04-05", "2021-04-05"):
        assert f"Prior exam of {day}: malignant" in text
        assert f"L CC malignant 1: a malignant finding of the exam of {day}" in text


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (0.986, 0.964, "malignant 99 % (-3 percentage points since then)"),
        (0.955, 0.964, "malignant 96 % (no change since then)"),
        (0.5, 0.51, "malignant 50 % (+1 percentage point since then)"),
        (0.51, 0.5, "malignant 51 % (-1 percentage point since then)"),
    ],
)
def test_the_change_is_the_difference_of_the_scores_that_are_shown(then: float, now: float, said: str) -> None:
    kind = FindingKind.MALIGNANT
    scores = [shown_finding_score(one, kind, "percent") for one in (then, now)]
    assert ShownPrior(kind, *scores).text == said
