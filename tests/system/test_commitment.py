"""Storage commitment with Orthanc in both directions: for results that Orthanc stores, and for images that it sends."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.system.node_process import NodeProcess, dcmsend, running_node, small_exam, wait_for_state, write_settings
from tests.system.orthanc import Orthanc
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

MG = "1.2.840.10008.5.1.4.1.1.1.2"
ORTHANC_IS_A_PEER = """
[peers.orthanc]
ae_title = "ORTHANC"
destination = "archive"

[node]"""


@pytest.fixture
def pair(orthanc: Orthanc, tmp_path: Path) -> Iterator[tuple[NodeProcess, Orthanc]]:
    """Yield a node and an Orthanc that are configured for each other."""
    port = free_port()
    orthanc.stop()
    orthanc.more = {"DicomModalities": {"node": {"AET": "GLAMNODE", "Host": "127.0.0.1", "Port": port}}}
    orthanc.start()
    predictor = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'
    commits = "storage_commitment = true"
    path = write_settings(tmp_path / "node", orthanc, port=port, predictor=predictor, archive_gets=commits)
    path.write_text(path.read_text().replace("[node]", ORTHANC_IS_A_PEER))
    with running_node(path, port) as node:
        yield node, orthanc


def post(orthanc: Orthanc, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http_port}{path}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def study(node: NodeProcess) -> dict[str, Any]:
    (listed,) = node.studies()
    told: dict[str, Any] = json.loads(node.command("study", listed["study_instance_uid"], "--json"))
    return told


@pytest.mark.features("destinations.NAME.storage_commitment")
def test_every_result_that_orthanc_stored_is_committed_by_it(pair: tuple[NodeProcess, Orthanc], tmp_path: Path) -> None:
    node, _ = pair
    dcmsend(node.port, small_exam(tmp_path / "exam", 5))
    wait_for_state(node, "REPORTED")
    wait_until(lambda: {one["state"] for one in study(node)["deliveries"]} == {"COMMITTED"}, told=node.log)


@pytest.mark.features("peers.NAME.destination")
def test_orthanc_hears_that_we_keep_what_it_sent_and_not_what_it_did_not(
    pair: tuple[NodeProcess, Orthanc], tmp_path: Path
) -> None:
    node, orthanc = pair
    dcmsend(node.port, small_exam(tmp_path / "exam", 6))
    wait_for_state(node, "REPORTED")
    kept = [image["sop_instance_uid"] for image in study(node)["instances"]]
    asked = {"DicomInstances": [[MG, uid] for uid in (*kept, "2.25.404")]}
    transaction = post(orthanc, "/modalities/node/storage-commitment", asked)["ID"]
    path = f"/storage-commitment/{transaction}"
    wait_until(lambda: orthanc.get(path)["Status"] != "Pending", told=node.log)
    report = orthanc.get(path)
    assert report["Status"] == "Failure"
    assert {one["SOPInstanceUID"] for one in report["Success"]} == set(kept)
    assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in report["Failures"]] == [("2.25.404", 0x0112)]
