"""Canaries: synthetic studies that `glam-node serve` sends to its own port."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from glam_node.inference.canary_exam import write_exam
from tests.certificates import Signed
from tests.command_line import glam_node
from tests.integration.scp.raw import Sender
from tests.peers import PEERS
from tests.ports import free_port
from tests.posts import Posts
from tests.system.orthanc import Orthanc, running_orthanc
from tests.system.site import Site, folder, objects, running, written_site
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the images that every canary is made of, which take seconds to draw."""
    made = tmp_path_factory.mktemp("exam") / "canary"
    write_exam(made)
    return made


def site_with(exam: Path, directory: Path, settings: dict[str, Any]) -> Site:
    """Write the settings of a site whose storage has the images of the canary."""
    site = written_site(directory, settings)
    shutil.copytree(exam, site.storage / "canary", copy_function=os.link)
    return site


@pytest.mark.features("glam-node canary")
def test_a_canary_goes_the_way_of_a_study_and_leaves_nothing_behind(exam: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "destinations": {
            "marked": folder(tmp_path / "marked", results=["measurement_report"]),
            "archive": folder(tmp_path / "archive", results=["measurement_report"]),
        },
        "canary": {
            "destinations": ["marked"],
            "limit": 120.0,
            "tolerance": 0.04,
            "issuer_of_patient_id": "OUR CANARY",
            "withdraw": False,
        },
    }
    with running(site_with(exam, tmp_path / "node", settings)) as site:
        told = json.loads(site.command("canary", "--json"))
        assert told["verdict"] == "PASSED", (told, site.log())
        assert set(told["scores"]) == {"L CC", "L MLO", "R CC", "R MLO"}
        assert told["lesions"]
        (report,) = objects(tmp_path / "marked")
        assert (report.PatientID, report.IssuerOfPatientID) == ("CANARY", "OUR CANARY")
        assert not list((tmp_path / "archive").rglob("*.dcm"))
        assert not list(site.storage.rglob(f"*{told['study_instance_uid']}*"))
        state = json.loads(site.command("status", "--json"))
        assert (state["studies"], state["jobs"], state["canary"]["verdict"]) == ({}, {}, "PASSED")
        assert "canary came back as expected" in site.command("canary")
        with Sender(site.port) as impostor:
            assert impostor.associate(calling="GLAMCANARY") == 3


@pytest.mark.features("canary.*", "alerts.which = canary_failed")
def test_a_scheduled_canary_that_fails_is_told_once_and_so_is_its_recovery(exam: Path, tmp_path: Path) -> None:
    hook = Posts("/alerts", ill_status=503)
    archive = folder(tmp_path / "archive", results=["measurement_report"])
    settings: dict[str, Any] = {
        "destinations": {"archive": {"port": free_port(), "timeout": 5.0}},
        "alerts": {"webhook_url": f"{hook.url}/alerts", "which": ["canary_failed", "needs_a_person", "archive_down"]},
        "canary": {
            "every": 3600.0,
            "destinations": ["archive"],
            "limit": 4.0,
            "tolerance": 0.04,
            "issuer_of_patient_id": "OUR CANARY",
            "withdraw": False,
        },
    }
    with hook.listening(), running(site_with(exam, tmp_path / "node", settings)) as site:
        wait_until(lambda: bool(hook.bodies), 120, site.log)
        (begun,) = [json.loads(body) for body in hook.bodies]
        assert (begun["alert"], begun["state"]) == ("canary_failed", "begins")
        assert "No result within 4 s" in begun["fact"], site.log()
        assert "FAILED" in site.command("status")
        site.reload(
            {"destinations": {"archive": {**archive, "port": None, "timeout": None}}, "canary": {"limit": 100.0}}
        )
        assert "canary came back as expected" in site.command("canary")
        wait_until(lambda: len(hook.bodies) > 1, told=site.log)
        assert Counter(json.loads(body)["state"] for body in hook.bodies) == {"begins": 1, "over": 1}
        passed = json.loads(site.command("status", "--json"))["canary"]["study_instance_uid"]
        assert passed in {one.StudyInstanceUID for one in objects(tmp_path / "archive")}


@pytest.mark.peer("orthanc")
@pytest.mark.peer("orthanc-dicomweb")
@pytest.mark.features("canary.destinations", "glam-node canary")
def test_a_canary_by_mutual_tls_is_withdrawn_from_archives(
    exam: Path, plain: Orthanc, certificates: dict[str, Signed], tmp_path: Path
) -> None:
    ours, reports = certificates["node"], ["measurement_report"]
    archive = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": plain.dicom_port, "results": reports}
    with running_orthanc(tmp_path / "second", plugins=(PEERS["orthanc-dicomweb"].program,)) as web:
        settings: dict[str, Any] = {
            "tls": {
                "port": free_port(), "certificate": ours.certificate, "key": ours.key,
                "ca": certificates["archive"].ca,
            },
            "destinations": {
                "archive": archive,
                "web": {"kind": "stow-rs", "host": "127.0.0.1", "port": web.http_port, "results": reports},
                "marked": folder(tmp_path / "marked", results=reports),
            },
            "canary": {"destinations": ["archive", "web", "marked"], "limit": 120.0},
        }  # fmt: skip
        with running(site_with(exam, tmp_path / "node", settings)) as site:
            told = json.loads(site.command("canary", "--json"))
        assert (told["verdict"], told["remark"]) == ("PASSED", ""), site.log()
        assert list((tmp_path / "marked").glob("*.dcm")) == []
        for there in (plain, web):  # Orthanc offers no DELETE by DICOMweb
            (report,) = [dcmread(path) for path in there.fetch("SR", tmp_path / "reports")]
            (note,) = [dcmread(path) for path in there.fetch("KO", tmp_path / "notes")]
            (title,) = note.ConceptNameCodeSequence
            assert (title.CodeValue, title.CodingSchemeDesignator) == ("113039", "DCM")
            assert (note.PatientID, note.StudyInstanceUID) == ("CANARY", report.StudyInstanceUID)
            (evidence,) = note.CurrentRequestedProcedureEvidenceSequence
            (series,) = evidence.ReferencedSeriesSequence
            assert [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence] == [report.SOPInstanceUID]


@pytest.mark.features("glam-node canary")
def test_a_canary_that_a_rule_leaves_out_fails_and_says_so(exam: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rules": {"none": {"when": 'Modality == "MG"', "then": "ignore"}}}
    with running(site_with(exam, tmp_path / "node", settings)) as site:
        said = site.command("canary", expect=1)
        assert "The study was not analysed, by rules.none" in said


def test_the_command_says_when_no_node_takes_its_request(exam: Path, tmp_path: Path) -> None:
    with running(site_with(exam, tmp_path / "node", {})) as site:
        site.command("status")
    done = glam_node("canary", expect=1, GLAM_NODE_SETTINGS=str(site.path))
    assert "The node does not begin the canary. Is `glam-node serve` running" in done.stderr
    with running(site):
        wait_until(lambda: "PASSED" in site.command("status"), 120, site.log)
