"""The laboratory of deploy/compose without containers: its node and its Orthanc, with the addresses of this machine."""

import json
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.system.node_process import dcmtk, running_node
from tests.system.orthanc import Orthanc

COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose"

QUICK = """
[assembly]
settle_time = 1.0
[inference]
predictor = "glam_node.inference.threshold:ThresholdPredictor"
"""

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(600)]


def test_a_mammogram_that_orthanc_gets_is_analysed_and_its_results_are_beside_it(
    exam: list[Path], tmp_path: Path
) -> None:
    port, orthanc = free_port(), laboratory(tmp_path)
    settings_path = tmp_path / "node.toml"
    settings_path.write_text(
        replaced(
            (COMPOSE / "node.toml").read_text(),
            {
                "port = 11112": f'host = "127.0.0.1"\nport = {port}',
                '"/var/lib/glam-node"': f'"{tmp_path / "storage"}"',
                '"orthanc"\nport = 4242': f'"127.0.0.1"\nport = {orthanc.dicom_port}',
                "port = 8114": f"port = {free_port()}",
            },
        )
        + QUICK
    )
    orthanc.more = {
        "LuaScripts": [str(COMPOSE / "route.lua")],
        "DicomModalities": {"glam-node": {"AET": "GLAMNODE", "Host": "127.0.0.1", "Port": port}},
    }
    orthanc.start()
    try:
        with running_node(settings_path, port, calling_ae_title="ORTHANC"):
            files = [str(path) for path in exam]
            stored = dcmtk("dcmsend", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port), *files)
            assert stored.returncode == 0, stored.stderr
            orthanc.wait_for({"MG": 4, "SEG": 1, "SR": 1, "OT": 1}, seconds=120)
    finally:
        orthanc.kill()


def laboratory(directory: Path) -> Orthanc:
    """Return an Orthanc with the configuration of compose, not started yet."""
    stated = json.loads((COMPOSE / "orthanc.json").read_text())
    (directory / "orthanc").mkdir()
    return Orthanc(directory / "orthanc", free_port(), free_port(), ae_title=stated["DicomAet"])


def replaced(text: str, addresses: dict[str, str]) -> str:
    """Return the text with all addresses replaced."""
    for theirs, ours in addresses.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    return text
