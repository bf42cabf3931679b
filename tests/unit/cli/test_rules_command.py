"""Tests of `glam-node rules` with the examples of docs/rules.md."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from glam_node.rules.reference import explanation
from tests.command_line import glam_node
from tests.generated import AGAIN

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")


@pytest.fixture
def exam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a small phantom exam to `exam` and the settings of the page to `node.toml`."""
    monkeypatch.chdir(tmp_path)
    glam_node("phantom", "--out", "exam", "--rows", "256", "--columns", "192")
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "node.toml").write_text("".join(blocks))
    return tmp_path / "exam"


def tried(*arguments: str | Path) -> dict[str, Any]:
    told = json.loads(glam_node("--settings", "node.toml", "rules", "test", *arguments, "--json").stdout)
    return dict(told)


@pytest.mark.features("glam-node rules explain")
def test_the_page_has_what_explain_says() -> None:
    assert glam_node("rules", "explain").stdout == explanation()
    assert PAGE.endswith(explanation()), AGAIN


@pytest.mark.usefixtures("exam")
def test_every_command_of_the_page_runs() -> None:
    (block,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        assert glam_node("--settings", "node.toml", *shlex.split(line)[2:]).stdout


def test_a_study_without_a_matching_rule_goes_to_all_destinations(exam: Path) -> None:
    (study,) = tried(exam)["studies"]
    assert (study["outcome"], study["rule"]) == ("analyse", "screening_views")
    assert study["destinations"] == ["archive", "trial (shadow)"]
    assert {image["outcome"] for image in study["images"]} == {"analysed"}
    assert "rules.clinic does not hold: calling_ae_title is missing" in study["images"][0]["said"]


@pytest.mark.features("glam-node rules test")
def test_the_rule_that_decides_is_named_with_what_images_say(exam: Path) -> None:
    (study,) = tried(exam, "--calling-ae-title", "CLINIC")["studies"]
    assert (study["rule"], study["destinations"], study["priority"]) == ("rules.clinic", ["archive"], "urgent")
    said = study["images"][0]["said"]
    assert 'rules.clinic holds: calling_ae_title is "clinic"' in said
    assert any("PatientAge is missing" in line or "PatientAge is not shown" in line for line in said)


def test_a_rule_about_results_is_tried_with_assumed_results(exam: Path) -> None:
    settings = exam.parent / "results.toml"
    settings.write_text("[rules.found]\nwhen = 'malignant_score >= 0.5 and images > 0'\nthen = 'hold'\n")
    told = glam_node("--settings", settings, "rules", "test", exam).stdout
    assert "after the analysis: rules.found: depends on the results" in told
    assert "rules.found is evaluated after the analysis" in told
    for value, said in (("0.9", "hold by rules.found: malignant_score >= 0.5"), ("0.1", "no rule about results holds")):
        told = glam_node("--settings", settings, "rules", "test", exam, "--assume", f"malignant_score={value}").stdout
        assert f"after the analysis: {said}" in told


@pytest.mark.parametrize("text", ["malignant_score", "malignant_score=high", "KVP=28", "findings=nan"])
def test_an_assumption_that_is_not_a_number_of_a_field_of_results_is_refused(exam: Path, text: str) -> None:
    told = glam_node("rules", "test", exam, "--assume", text, expect=2).stderr
    assert "write FIELD=NUMBER" in " ".join(told.replace("│", " ").split())


def test_a_file_that_is_not_dicom_is_named(exam: Path) -> None:
    (exam / "notes.txt").write_text("no image")
    told = glam_node("--settings", "node.toml", "rules", "test", exam).stdout
    assert "not read: notes.txt: This is not a readable DICOM file" in told


def test_a_wrong_rule_is_found_when_settings_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        "[rules.one]\nwhen = 'KVP >'\n[rules.two]\nwhen = 'PatientID == \"1\"'\n"
        "[rules.three]\nwhen = 'KVP > 1'\ndestinations = ['nowhere']\n"
    )
    told = glam_node("settings", "check", "--settings", path, expect=1).stderr
    assert "rules.one.when: position 6: the end where" in told
    assert "rules.two.when: position 1: PatientID may identify a person" in told
    path.write_text("[rules.three]\nwhen = 'KVP > 1'\ndestinations = ['nowhere']\n")
    told = glam_node("settings", "check", "--settings", path, expect=1).stderr
    assert "rules.three.destinations: there is no destinations.nowhere" in told
    path.write_text(
        "[rules.four]\nwhen = 'findings > 0'\nresults = ['encapsulated_pdf']\n"
        "[destinations.archive]\nkind = 'folder'\npath = '/srv/trial'\n"
    )
    told = glam_node("settings", "check", "--settings", path, expect=1).stderr
    assert "rules.four.results: no destination of the rule asks for encapsulated_pdf" in told


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("level = 'image'\nthen = 'shadow'", 'rules.one.then: "shadow" is for studies'),
        ("level = 'image'\nthen = 'ignore'\nholds_for = 'all'", "rules.one.holds_for: is for studies"),
        ("then = 'ignore'\npriority = 'urgent'", "rules.one.priority: is for studies that are analysed"),
        ("destinations = []", "rules.one.destinations: is empty"),
        ("hold_time = 5", "rules.one.hold_time: is for then"),
        ("then = 'ignore'\nresults = ['segmentation']", "rules.one.then: the rule is evaluated after the analysis"),
        ("notify = true", "rules.one.notify: needs alerts.webhook_url or alerts.smtp_host"),
        ("results = []", "rules.one.results: is empty"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(tmp_path: Path, more: str, message: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"[rules.one]\nwhen = 'KVP > 1'\n{more}\n")
    assert message in glam_node("settings", "check", "--settings", path, expect=1).stderr
