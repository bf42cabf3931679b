"""The facts of the one-page summary."""

from dataclasses import replace

import pytest

from glam_node.node.results.summary_page import SummaryPage, summary_page
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, failed


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def facts(exam: Analysed) -> SummaryPage:
    return summary_page(exam.findings, exam.sources, IDENTITY)


def with_parameters(exam: Analysed, **parameters: str) -> Analysed:
    """Return the same exam, analysed by an algorithm with other parameters, whose names have _ in place of the dot."""
    stated = tuple((name.replace("_", ".", 1), value) for name, value in parameters.items())
    return replace(exam, findings=replace(exam.findings, algorithm=replace(exam.findings.algorithm, parameters=stated)))


def test_views_are_in_the_order_in_which_they_hang(exam: Analysed) -> None:
    page = facts(replace(exam, findings=replace(exam.findings, images=exam.findings.images[::-1])))
    assert [view.name for view in page.views] == ["R CC", "L CC", "R MLO", "L MLO"]
    assert [len(view.findings) for view in page.views] == [0, 2, 0, 2]
    assert "no findings" in page.views[0].text
    assert "2 findings" in page.views[1].text


def test_breasts_and_study_have_the_scores_and_the_outcome_of_the_report(exam: Analysed) -> None:
    right, left, study = facts(exam).rows
    assert (right.name, left.name, study.name) == ("Right breast", "Left breast", "Study")
    assert [row.outcome for row in (right, left)] == [
        "All algorithms succeeded; without findings",
        "All algorithms succeeded; with findings",
    ]
    assert study.scores == left.scores
    assert all(score.text.endswith(" %") for row in (right, left) for score in row.scores)


def test_a_view_that_is_missing_and_one_that_failed_are_remarks_with_the_reason(exam: Analysed) -> None:
    broken = exam.with_images(
        failed(exam.image("L CC"), "The image is black everywhere."),
        replace(exam.image("R CC"), remarks=("Tissue may be cut off.",)),
    ).only("R CC", "L CC", "R MLO")
    page = facts(broken)
    assert page.remarks == (
        "L CC: not analysed. The image is black everywhere.",
        "L MLO: no image. No image of this view was received, or none that is analysed.",
        "R CC: Tissue may be cut off.",
    )
    assert [score.text for score in page.rows[1].scores] == ["no score", "no score"]
    assert page.rows[1].outcome == "No algorithms succeeded; without findings"


def test_a_breast_without_images_has_no_score(exam: Analysed) -> None:
    right = facts(exam.only("L CC", "L MLO")).rows[0]
    assert right.outcome == "No image"
    assert {score.text for score in right.scores} == {"no score"}


def test_a_score_names_the_images_that_reach_the_operating_point(exam: Analysed) -> None:
    malignant = exam.image("L CC").malignant_score
    assert malignant is not None
    point = f"{malignant:g}"
    page = facts(with_parameters(exam, malignant_image_score_threshold=point, benign_image_score_threshold="0"))
    words = [[score.operating_point for score in row.scores] for row in page.rows]
    assert words[0] == ["operating point not reached", ""]
    assert words[1][0].startswith("operating point reached in L CC")
    assert words[2] == words[1]
    assert any(note.startswith("Operating points of the score of an image: malignant") for note in page.notes)


def test_scores_without_stated_operating_points_say_nothing_about_them(exam: Analysed) -> None:
    page = facts(with_parameters(exam))
    assert {score.operating_point for row in page.rows for score in row.scores} == {""}
    assert not any("Operating" in note for note in page.notes)


def test_patient_and_study_are_those_of_the_images(exam: Analysed) -> None:
    source = exam.source("R CC")
    patient = dict(facts(exam).patient)
    assert patient["Patient ID"] == source.PatientID
    assert patient["Accession number"] == source.AccessionNumber
    assert patient["Study date"].replace("-", "") == source.StudyDate


def test_the_page_names_model_node_and_intended_use(exam: Analysed) -> None:
    page = facts(exam)
    origin = dict(page.origin)
    assert "UNTRAINED" in page.statement
    assert exam.findings.algorithm.weights_sha256[:16] in origin["Model"]
    assert IDENTITY.software_version in origin["Node"]
    assert origin["Results of"] == "2026-01-02 11:30:15 UTC+0000"
