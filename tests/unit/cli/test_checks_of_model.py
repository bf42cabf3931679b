"""Tests of the check of `doctor` for the model."""

import pytest

from glam_node.node.cli.checks import Verdict
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
