"""The shipped dashboard uses only metrics that exist, in expressions that Prometheus accepts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.observe.metrics import METRICS
from tests.integration.deploy.shipped import promtool

GRAFANA = Path(__file__).resolve().parents[3] / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "glam-node.json").read_text())
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\{([^}]*)\}")
LABEL = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
BY_PROMETHEUS = {"up": ("job",)}
"""Metrics and labels that Prometheus adds to every target."""


def expressions() -> list[str]:
    """Return the expressions of the panels."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def selectors() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each metric in the expression with its labels and the values that they are compared with."""
    found = [match for expression in expressions() for match in SELECTOR.findall(expression)]
    return [(name, [(label, value) for label, _, value in LABEL.findall(inside)]) for name, inside in found]


def test_every_metric_and_label_is_declared() -> None:
    declared = {metric.name: metric.labels for metric in METRICS} | BY_PROMETHEUS
    for name, labels in selectors():
        assert name in declared, name
        assert {label for label, _ in labels} <= {*declared[name], "instance"}, name


def test_every_state_that_is_asked_for_is_one() -> None:
    states = {"glam_node_studies": StudyState, "glam_node_jobs": JobState, "glam_node_deliveries": DeliveryState}
    asked = [(name, value) for name, labels in selectors() for label, value in labels if label == "state"]
    assert asked
    for name, value in asked:
        assert set(value.split("|")) <= set(states[name]), value


def test_every_metric_is_shown() -> None:
    assert {metric.name for metric in METRICS} <= {name for name, _ in selectors()}


def test_labels_in_legends_are_those_of_the_metric() -> None:
    declared = {label for metric in METRICS for label in metric.labels} | {"instance"}
    legends = [target["legendFormat"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert {label for legend in legends for label in re.findall(r"\{\{(\w+)\}\}", legend)} <= declared


@pytest.mark.peer("promtool")
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    assert checked(tmp_path, expressions()).returncode == 0


@pytest.mark.peer("promtool")
def test_prometheus_would_find_a_fault(tmp_path: Path) -> None:
    assert checked(tmp_path, [*expressions(), "sum(glam_node_jobs{"]).returncode == 1


def checked(directory: Path, asked: list[str]) -> Any:
    """Return promtool's verdict on the expressions, written as rules."""
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = directory / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    return promtool("check", "rules", path)


def test_panels_do_not_lie_over_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_provisioning_is_yaml_of_grafanas_first_version() -> None:
    files = sorted((GRAFANA / "provisioning").rglob("*.yml"))
    assert [yaml.safe_load(path.read_text())["apiVersion"] for path in files] == [1, 1]
