"""Tests of the check of `doctor` for the model."""

import pytest

from glam_node.inference.route_record import RouteDecision
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_model import check_model
from glam_node.settings.load import load_settings


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "leaves out the images of patients"),
        ({"GLAM_NODE__INFERENCE__DEMONSTRATION_ON_PATIENTS": "true"}, "demonstration_on_patients is set"),
    ],
)
def test_doctor_warns_of_the_demonstration_package(environment: dict[str, str], words: str) -> None:
    check = next(iter(check_model(load_settings(None, environment))))
    assert check.verdict is Verdict.WARN
    assert words in check.fact
    assert "inference.package" in check.remedy


def route_line(environment: dict[str, str]) -> Check | None:
    checks = check_model(
        load_settings(None, {f"GLAM_NODE__INFERENCE__{key}": text for key, text in environment.items()})
    )
    return next((check for check in checks if check.name == "route"), None)


def test_doctor_says_that_a_route_was_not_measured_yet() -> None:
    line = route_line({})
    assert line is not None and line.verdict is Verdict.OK
    assert line.fact.startswith("cpu, ")
    assert "no measurement is kept for this machine, package and versions" in line.fact


def test_doctor_says_that_the_settings_leave_one_route() -> None:
    line = route_line({"RUNTIME": "torch"})
    assert line is not None and line.verdict is Verdict.OK
    assert line.fact == 'cpu, torch: the only one for inference.runtime = "torch" and inference.precision = "exact"'


class TroubledPredictor(ThresholdPredictor):
    """A predictor whose routes could not be measured."""

    route = "cpu, torch"
    route_decision = RouteDecision("the one with the least memory", None, "The routes could not be measured.")


def test_doctor_warns_of_a_measurement_that_failed() -> None:
    line = route_line({"PREDICTOR": f"{__name__}:TroubledPredictor"})
    assert line is not None and line.verdict is Verdict.WARN
    assert line.fact == "cpu, torch: the one with the least memory. The routes could not be measured."
    assert "inference.runtime" in line.remedy


def test_doctor_says_nothing_of_routes_where_the_predictor_has_none() -> None:
    assert route_line({"PREDICTOR": "glam_node.inference.threshold:ThresholdPredictor"}) is None
