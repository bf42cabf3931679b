"""Tests of the conditions that raise alerts."""

from dataclasses import replace
from typing import Any

import pytest

from glam_node.node.domain.alert import AlertFacts, AlertPolicy, alerts
from glam_node.settings.alerts import ALERTS

POLICY = AlertPolicy(frozenset(ALERTS), 900, 1800, 600, 43_200, 0.1, canary=True)
WELL = AlertFacts(
    oldest_deliveries_s={"archive": 900},
    oldest_job_s=1800,
    due_job_s=600,
    running_jobs=0,
    last_image_s=43_200,
    free_bytes=2_000,
    minimum_free_bytes=1_000,
    mean_scores={"malignant": 0.35},
    reference_scores={"malignant": 0.4, "benign": 0.4},
)

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("archive_down", "archive", {"oldest_deliveries_s": {"archive": 901, "other": 5}}),
    ("backlog_growing", "", {"oldest_job_s": 1801}),
    ("worker_gone", "", {"due_job_s": 601}),
    ("disk_low", "", {"free_bytes": 1_999}),
    ("disk_low", "storage.root", {"free_bytes": None}),
    ("no_studies", "", {"last_image_s": 43_201}),
    ("needs_a_person", "", {"failed_jobs": 1}),
    ("needs_a_person", "", {"abandoned_deliveries": 2}),
    ("studies_left_out", "synthesized", {"left_out": {"synthesized": 3}}),
    ("studies_left_out", "demonstration_package", {"left_out": {"demonstration_package": 1}}),
    ("images_in_doubt", "patient", {"studies_in_doubt": {"patient": 1, "content": 3}}),
    ("images_in_doubt", "two_patients", {"studies_in_doubt": {"two_patients": 2}}),
    ("score_drift", "malignant", {"mean_scores": {"malignant": 0.51}}),
    ("canary_failed", "", {"canary_failure": "No result within 1800 s."}),
]


def raised(facts: AlertFacts, policy: AlertPolicy = POLICY) -> list[tuple[str, str]]:
    return [(alert.name, alert.subject) for alert in alerts(facts, policy)]


def test_no_alert_is_raised_at_the_limits() -> None:
    assert raised(WELL) == []


@pytest.mark.parametrize(("name", "subject", "fields"), CASES)
def test_an_enabled_alert_is_raised_beyond_its_limit(name: str, subject: str, fields: dict[str, Any]) -> None:
    wrong = replace(WELL, **fields)
    assert raised(wrong) == [(name, subject)]
    assert raised(wrong, replace(POLICY, which=POLICY.which - {name})) == []


def test_every_alert_of_the_settings_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(ALERTS)


@pytest.mark.parametrize("fields", [{"due_job_s": 601, "running_jobs": 1}, {"due_job_s": None}, {"last_image_s": None}])
def test_no_alert_is_raised_for_running_jobs_or_missing_facts(fields: dict[str, Any]) -> None:
    assert raised(replace(WELL, **fields)) == []


def test_no_drift_alert_is_raised_for_a_class_without_a_reference() -> None:
    assert raised(replace(WELL, mean_scores={"malignant": 0.9}, reference_scores={})) == []


@pytest.mark.parametrize(("count", "counted"), [(1, "1 study"), (2, "2 studies")])
def test_studies_that_were_left_out_are_counted(count: int, counted: str) -> None:
    (alert,) = alerts(replace(WELL, left_out={"synthesized": count}), POLICY)
    expected = f"The node left out {counted} in the last day: such studies have only synthesized views"
    assert alert.fact.startswith(expected)


def test_an_alert_describes_the_fact_and_the_remedy() -> None:
    (alert,) = alerts(replace(WELL, oldest_deliveries_s={"archive": 5400}), POLICY)
    assert alert.fact == "Results have been waiting for archive for 90 minutes."
    assert "glam-node echo archive" in alert.action
