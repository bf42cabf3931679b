"""Metrics of recent mean scores."""

from pathlib import Path
from typing import Any

import pytest

from glam_node.inference.findings import FindingKind
from glam_node.node.bootstrap import Node, build_node
from glam_node.node.bootstrap.model import load_configured_predictor
from glam_node.node.console.metrics_collector import measure
from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.node.observe.metrics import LEAST_ANALYSES, MEAN_SCORE, RECENT_ANALYSES, REFERENCE_SCORE
from glam_node.node.results.scores import reference_scores
from glam_node.node.workflow.record.alerts import update_alerts
from glam_node.settings.schema import Settings, StorageSettings
from tests.builders import NOW


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a node without analyses."""
    return build_node(Settings(storage=StorageSettings(root=tmp_path)))


def analysed(node: Node, times: int, malignant: float, version: str = "1", **detail: object) -> None:
    """Record analyses whose images have these scores."""
    told: dict[str, Any] = {
        "mean_scores": {"benign": 0.5, "malignant": malignant},
        "algorithm_version": version,
        **detail,
    }
    with node.sessions.begin() as session:
        for _ in range(times):
            audit.record(session, EventKind.JOB_SUCCEEDED, NOW, **told)


def means(node: Node) -> dict[str, float]:
    """Return the mean scores by kind of finding."""
    return {one.labels[0]: round(one.value, 6) for one in measure(node, NOW) if one.metric is MEAN_SCORE}


def test_too_few_analyses_give_no_mean_score(node: Node) -> None:
    analysed(node, LEAST_ANALYSES - 1, 0.2)
    assert means(node) == {}


def test_only_the_last_analyses_count(node: Node) -> None:
    analysed(node, RECENT_ANALYSES, 0.9)
    analysed(node, RECENT_ANALYSES, 0.2)
    assert means(node) == {"benign": 0.5, "malignant": 0.2}


def test_scores_of_another_algorithm_do_not_count(node: Node) -> None:
    analysed(node, 50, 0.9, version="1")
    analysed(node, 30, 0.1, version="2")
    assert means(node)["malignant"] == 0.1


def test_notices_and_records_of_older_versions_do_not_count(node: Node) -> None:
    analysed(node, 30, 0.3)
    analysed(node, 10, 0.0, mean_scores={})
    with node.sessions.begin() as session:
        audit.record(session, EventKind.JOB_SUCCEEDED, NOW, algorithm_version="1")
    assert means(node)["malignant"] == 0.3


def test_a_node_with_the_built_in_package_knows_how_far_its_scores_have_drifted(node: Node) -> None:
    reference = reference_scores(load_configured_predictor(node.settings).algorithm)
    assert set(reference) == {str(kind) for kind in FindingKind}
    analysed(node, 30, reference["malignant"] - 0.2, reference_scores=reference)
    told = {one.labels[0]: one.value for one in measure(node, NOW) if one.metric is REFERENCE_SCORE}
    assert told == reference
    found = update_alerts(node.sessions, node.alert_policy, (), (2, 1), (), NOW)
    assert ("score_drift", "malignant") in {(one.name, one.subject) for one in found}
