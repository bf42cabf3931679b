"""Delivery by `glam-node serve` to every kind of destination, plain and secured, after `glam-node doctor` checks it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Signed
from tests.hl7.raw_engine import accepting, raw
from tests.ports import free_port
from tests.system.node_process import NodeProcess, dcmsend, running_node, wait_for_state
from tests.system.orthanc import BASIC, Orthanc
from tests.system.tls_front import tls_in_front_of
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("orthanc-dicomweb"),
    pytest.mark.peer("dcmtk"),
    pytest.mark.timeout(600),
]


def settings_for(directory: Path, port: int, destinations: dict[str, dict[str, Any]]) -> Path:
    """Write the settings of a node that accepts DCMTK and sends one kind of result to each of these destinations."""
    tables = [
        f"[destinations.{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in stated.items())
        for name, stated in destinations.items()
    ]
    path = directory / "node.toml"
    path.write_text(
        f"""
node.host = "127.0.0.1"
node.port = {port}
storage.root = "{directory / "storage"}"
assembly.settle_time = 1.0
inference.predictor = "glam_node.inference.threshold:ThresholdPredictor"
peers.dcmtk = {{ ae_title = "DCMTK", hosts = ["127.0.0.1"] }}
delivery.initial_delay = 0.5
"""
        + "\n".join(tables)
    )
    return path


def deliveries(node: NodeProcess) -> dict[str, set[str]]:
    """Return the states of the only study's results by destination."""
    (study,) = node.studies()
    shown = json.loads(node.command("study", study["study_instance_uid"], "--json"))
    states: dict[str, set[str]] = {}
    for one in shown["deliveries"]:
        states.setdefault(one["destination"], set()).add(one["state"])
    return states


@pytest.fixture
def fronts(plain: Orthanc, secured: Orthanc, certificates: dict[str, Signed]) -> Iterator[dict[str, int]]:
    """Yield the ports of TLS proxies in front of both Orthancs and of an HL7 engine, and that of the engine."""
    theirs = certificates["archive"]
    with (
        tls_in_front_of(secured.http_port, theirs) as web_mutual,
        tls_in_front_of(plain.http_port, theirs, mutual=False) as web,
        tls_in_front_of(plain.dicom_port, theirs, mutual=False) as dicom,
        raw(accepting) as (_, hl7),
        tls_in_front_of(hl7, theirs, mutual=False) as hl7_tls,
        tls_in_front_of(hl7, theirs) as hl7_mutual,
    ):
        yield {
            "web_mutual": web_mutual, "web": web, "dicom": dicom,
            "hl7": hl7, "hl7_tls": hl7_tls, "hl7_mutual": hl7_mutual,
        }  # fmt: skip


def destinations_at(
    plain: Orthanc, secured: Orthanc, fronts: dict[str, int], ours: Signed, directory: Path
) -> dict[str, dict[str, Any]]:
    """Return a destination for every kind and way to connect, each with one kind of result."""
    token = directory / "token"
    token.write_text(f"{BASIC}\n")
    token.chmod(0o600)
    tls = {"tls": True, "ca": str(ours.ca), "certificate": str(ours.certificate), "key": str(ours.key)}
    titled = {"kind": "c-store", "ae_title": "ORTHANC", "host": "127.0.0.1"}
    web = {"kind": "stow-rs", "host": "127.0.0.1"}
    trusting = {"tls": True, "ca": str(ours.ca), "host": "localhost", "server_name": "127.0.0.1"}
    return {
        "dicom_front": {**titled, "results": ["presentation_state"], "port": fronts["dicom"], **trusting},
        "web_front": {**web, "results": ["mammography_cad_sr"], "port": fronts["web"], **trusting},
        "dicom": {**titled, "port": plain.dicom_port, "results": ["segmentation"]},
        "web": {**web, "port": plain.http_port, "results": ["measurement_report"]},
        "dicom_tls": {**titled, "port": secured.dicom_port, "results": ["segmentation"], **tls},
        "web_tls": {
            **web,
            "port": fronts["web_mutual"],
            "results": ["measurement_report"],
            **tls,
            "authorization": str(token),
            "service_path": "/dicom",
        },
        "folder": {"kind": "folder", "path": str(directory / "folder"), "results": ["measurement_report"]},
        "ris": {"kind": "hl7", "port": fronts["hl7"]},
        "ris_tls": {"kind": "hl7", "port": fronts["hl7_tls"], **trusting},
        "ris_mutual": {"kind": "hl7", "port": fronts["hl7_mutual"], **tls},
    }


@pytest.mark.features(
    "destinations.NAME.kind*",
    *("destinations.NAME.ae_title", "destinations.NAME.host", "destinations.NAME.port", "destinations.NAME.path"),
    *("destinations.NAME.tls", "destinations.NAME.ca", "destinations.NAME.certificate", "destinations.NAME.key"),
    *("destinations.NAME.server_name", "destinations.NAME.authorization", "destinations.NAME.service_path"),
    *("glam-node echo", "glam-node doctor"),
)
def test_results_reach_every_kind_of_destination_plain_and_secured(
    exam: list[Path],
    plain: Orthanc,
    secured: Orthanc,
    fronts: dict[str, int],
    certificates: dict[str, Signed],
    tmp_path: Path,
) -> None:
    port = free_port()
    destinations = destinations_at(plain, secured, fronts, certificates["node"], tmp_path)
    token = tmp_path / "token"
    settings_path = settings_for(tmp_path, port, destinations)
    with running_node(settings_path, port) as node:
        node.command("settings", "check")
        lines = json.loads(node.command("doctor", "--json", "--without", "model", "--without", "storage"))
        judged = {line["check"]: line for line in lines if line["check"].startswith("destinations.")}
        assert {line["verdict"] for line in judged.values()} == {"ok"}, judged
        assert {f"destinations.{name}" for name in destinations} <= judged.keys()
        for name in destinations:
            assert node.command("echo", name).startswith("ok"), name
        dcmsend(port, exam)
        wait_for_state(node, "REPORTED", 120)
        everywhere = {name: {"STORED"} for name in destinations}
        wait_until(lambda: deliveries(node) == everywhere, 120, lambda: (deliveries(node), node.log()))
        assert [bool(orthanc.instances("SEG")) for orthanc in (plain, secured)] == [True, True]
        assert [len(orthanc.instances("SR")) for orthanc in (plain, secured)] == [2, 1]
        assert len(list((tmp_path / "folder").glob("*.dcm"))) == 1
        token.write_text("Basic nonsense\n")
        assert "authorization" in node.command("echo", "web_tls", expect=1)
        told = json.loads(node.command("doctor", "--json", "--without", "model", "--without", "storage", expect=1))
        (failed,) = [line for line in told if line["verdict"] == "FAIL"]
        assert failed["check"] == "destinations.web_tls"
        assert "destinations.web_tls.authorization" in failed["fact"]
