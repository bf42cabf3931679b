"""Tests of the shipped alerting rules, evaluated by Prometheus itself."""

import re
import shutil
from pathlib import Path

import pytest

from glam_node.node.observe.metrics import METRICS
from tests.integration.deploy.shipped import promtool

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
PLAYED = Path(__file__).parent / "prometheus" / "alerts_test.yml"
PLAYED_OVER_WEEKS = PLAYED.with_name("drift_test.yml")


@pytest.mark.peer("promtool")
@pytest.mark.parametrize("play", [PLAYED, PLAYED_OVER_WEEKS], ids=lambda path: path.stem)
def test_each_alert_fires_after_its_time_and_not_before(play: Path, tmp_path: Path) -> None:
    played = tmp_path / "played.yml"
    played.write_text(play.read_text().replace("RULES", str(RULES)))
    done = promtool("test", "rules", played)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer("promtool")
def test_the_play_would_notice_an_alert_that_fires_late(tmp_path: Path) -> None:
    late, played = tmp_path / "alerts.yml", tmp_path / "played.yml"
    late.write_text(RULES.read_text().replace("> 900", "> 1900"))
    played.write_text(PLAYED.read_text().replace("RULES", str(late)))
    assert "GlamNodeArchiveDown" in promtool("test", "rules", played).stderr


@pytest.mark.peer("promtool")
def test_prometheus_takes_the_configuration() -> None:
    assert promtool("check", "config", RULES.with_name("prometheus.yml")).returncode == 0


@pytest.mark.peer("promtool")
def test_prometheus_takes_the_configuration_of_the_laboratory(tmp_path: Path) -> None:
    for file in (RULES.parents[1] / "compose" / "prometheus.yml", RULES):
        shutil.copy(file, tmp_path)
    checked = promtool("check", "config", tmp_path / "prometheus.yml")
    assert checked.returncode == 0, checked.stderr
    assert f"{RULES.name} is valid" in checked.stdout or "1 rule files found" in checked.stdout


def test_every_alert_is_played() -> None:
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", PLAYED.read_text() + PLAYED_OVER_WEEKS.read_text()))


def test_alerts_are_about_metrics_that_there_are() -> None:
    named = set(re.findall(r"\b(glam_node_\w+)", " ".join(re.findall(r"expr: (.*)", RULES.read_text()))))
    assert named
    assert named <= {metric.name for metric in METRICS}
