"""Backup of a running node that cannot deliver, and delivery by the restored node."""

import json
from pathlib import Path

import pytest

from tests.system.node_process import dcmsend, run_glam_node, running_node, settings_and_port, wait_for_state
from tests.system.orthanc import Orthanc

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(600)]

THRESHOLD = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'


@pytest.mark.features("glam-node backup", "glam-node restore")
def test_a_restored_node_delivers_what_the_running_one_could_not(
    orthanc: Orthanc, exam: list[Path], tmp_path: Path
) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD)
    orthanc.stop()
    with running_node(settings_path, port) as node:
        dcmsend(port, exam)
        wait_for_state(node, "REPORTED", 120)
        node.command("backup", str(tmp_path / "backup"))
        before = node.studies()
    again = tmp_path / "again.toml"
    again.write_text(settings_path.read_text().replace(str(tmp_path / "node"), str(tmp_path / "again")))
    run_glam_node("restore", str(tmp_path / "backup"), settings_path=again)
    assert json.loads(run_glam_node("studies", "--json", settings_path=again)) == before
    orthanc.start()
    with running_node(again, port):
        orthanc.wait_for({"SEG": 1, "SR": 1}, seconds=120)
