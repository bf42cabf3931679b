"""Scores as they are shown: in percent, raw, or from 1 to 10."""

from dataclasses import replace

import numpy as np
import pytest

from glam_node.inference.findings import AlgorithmIdentification, FindingKind
from glam_node.node.results import codes
from glam_node.node.results.scores import shown_finding_score, shown_score, ten_point
from tests.unit.results.analysed import IDENTITY, analysed_exam

CALIBRATED = AlgorithmIdentification(
    "GLAM",
    "1",
    "ab" * 32,
    True,
    (("malignant.calibration_slope", "2"), ("malignant.calibration_intercept", "1")),
)


@pytest.mark.parametrize(
    ("scale", "value", "unit", "text"),
    [("percent", 43.21, codes.PERCENT, "43 %"), ("raw", 0.4321, codes.NO_UNITS, "0.43")],
)
def test_a_score_has_a_value_a_unit_and_a_text(scale: str, value: float, unit: object, text: str) -> None:
    shown = shown_score(0.4321, FindingKind.MALIGNANT, CALIBRATED, scale)  # type: ignore[arg-type]
    assert (shown.name, shown.value, shown.unit, shown.text) == (
        codes.CERTAINTY[FindingKind.MALIGNANT],
        value,
        unit,
        text,
    )


def test_one_to_ten_is_the_tenth_of_the_calibrated_probability() -> None:
    logit = np.log(0.4 / 0.6)
    probability = 1 / (1 + np.exp(-(2 * logit + 1)))
    shown = shown_score(0.4, FindingKind.MALIGNANT, CALIBRATED, "ten")
    assert shown.value == int(probability * 10) + 1 == 6
    assert (shown.name, shown.text) == (codes.TEN_POINT_SCORE[FindingKind.MALIGNANT], "6 of 10")


def test_one_to_ten_begins_at_1_and_ends_at_10_and_grows() -> None:
    points = [ten_point(score, 2, 1) for score in np.linspace(0, 1, 501)]
    assert (points[0], points[-1]) == (1, 10)
    assert points == sorted(points)


def test_a_score_without_calibration_is_shown_in_percent() -> None:
    assert shown_score(0.4, FindingKind.BENIGN, CALIBRATED, "ten").text == "40 %"


def test_percent_is_the_probability_where_the_site_calibrated() -> None:
    by_site = replace(CALIBRATED, parameters=(*CALIBRATED.parameters, ("malignant.calibrated_by", "site")))
    shown = shown_score(0.4, FindingKind.MALIGNANT, by_site, "percent")
    assert (shown.name, shown.unit) == (codes.SITE_PROBABILITY[FindingKind.MALIGNANT], codes.PERCENT)
    assert shown.value == pytest.approx(100 / (1 + np.exp(-(2 * np.log(0.4 / 0.6) + 1))), abs=1e-3)
    assert shown_score(0.4, FindingKind.BENIGN, by_site, "percent").name == codes.CERTAINTY[FindingKind.BENIGN]
    assert shown_score(0.4, FindingKind.MALIGNANT, by_site, "raw").value == 0.4
    assert shown_score(0.4, FindingKind.MALIGNANT, by_site, "ten").text == "6 of 10"


def test_the_report_says_that_the_site_calibrated() -> None:
    exam = analysed_exam()
    scale = (("malignant.calibration_slope", "1"), ("malignant.calibration_intercept", "0"))
    algorithm = replace(exam.findings.algorithm, parameters=(*scale, ("malignant.calibrated_by", "site")))
    report = replace(exam, findings=replace(exam.findings, algorithm=algorithm)).report(IDENTITY)
    texts = [element.value for element in report.iterall() if element.keyword == "TextValue"]
    assert "Scores of the malignant class are calibrated by the site, in its settings." in texts
    assert "malignant.calibrated_by = site" in texts
    assert "Probability, malignant class, calibrated by site (research)" in str(report)


def test_a_finding_is_never_calibrated() -> None:
    assert shown_finding_score(0.4, FindingKind.MALIGNANT, "ten").text == "40 %"


def test_the_report_has_the_scale_of_the_site_for_images_and_the_same_for_findings() -> None:
    exam = analysed_exam()
    parameters = (("malignant.calibration_slope", "1"), ("malignant.calibration_intercept", "0"))
    algorithm = replace(exam.findings.algorithm, parameters=parameters)
    calibrated = replace(exam, findings=replace(exam.findings, algorithm=algorithm))
    text = str(calibrated.report(replace(IDENTITY, score_scale="ten")))
    assert "Score 1 to 10, malignant class (research)" in text
    assert "Score, benign class (research, not calibrated)" in text
