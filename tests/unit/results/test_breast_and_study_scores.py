"""Scores of a breast (the mean of its views) and of the study (the larger of its breasts)."""

from glam_node.inference.findings import FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.results.scores import breast_scores, mean_scores, study_score

L, R = Laterality.LEFT, Laterality.RIGHT


def view(laterality: Laterality, malignant_score: float | None, benign_score: float | None = 0.0) -> ImageFindings:
    return ImageFindings("2.25.1", laterality, ViewPosition.CC, (8, 8), benign_score, malignant_score)


def test_the_score_of_a_breast_is_the_mean_of_its_views() -> None:
    assert breast_scores([view(L, 0.25), view(L, 0.75), view(R, 0.125)], FindingKind.MALIGNANT) == {L: 0.5, R: 0.125}


def test_a_view_without_score_is_left_out_of_the_mean() -> None:
    assert breast_scores([view(L, 0.25), view(L, None)], FindingKind.MALIGNANT) == {L: 0.25}


def test_a_breast_without_scored_views_has_no_score() -> None:
    assert breast_scores([view(L, None)], FindingKind.MALIGNANT) == {}


def test_the_classes_are_independent() -> None:
    assert breast_scores([view(L, 0.25, 0.5)], FindingKind.BENIGN) == {L: 0.5}


def test_the_score_of_the_study_is_the_larger_of_its_breasts() -> None:
    assert study_score({L: 0.25, R: 0.75}) == 0.75


def test_a_study_of_which_nothing_could_be_analysed_has_no_score() -> None:
    assert study_score({}) is None


def test_mean_scores_are_of_the_images_that_have_one() -> None:
    images = [view(L, 0.25, 0.5), view(R, 0.75, 0.0), view(R, None, None)]
    assert mean_scores(images) == {"benign": 0.25, "malignant": 0.5}
    assert mean_scores([view(L, None, None)]) == {}
