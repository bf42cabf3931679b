"""Studies fetched from real archives into `glam-node serve` by `glam-node archive` and `glam-node backfill`."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Signed
from tests.integration.modality import small_exam
from tests.system.orthanc import BASIC, Orthanc
from tests.system.site import Site, folder, running_site
from tests.system.tls_front import tls_in_front_of

pytestmark = [
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("orthanc-dicomweb"),
    pytest.mark.peer("dcmtk"),
    pytest.mark.timeout(600),
]


def keep(orthanc: Orthanc, seed: int, accession: str, date: str = "20230405") -> str:
    """Store an exam of four small views in Orthanc by its REST interface, and return its Study Instance UID."""
    views = small_exam(seed)
    for number, view in enumerate(views):
        view.AccessionNumber, view.PatientID, view.StudyDate = accession, f"ID-{seed}", date
        path = orthanc.directory / f"{seed}-{number}.dcm"
        view.save_as(path, enforce_file_format=True)
        orthanc.post("/instances", path.read_bytes())
    return str(views[0].StudyInstanceUID)


def knows(orthanc: Orthanc, title: str, port: int) -> None:
    """Register a move destination in a running Orthanc."""
    orthanc.put(f"/modalities/{title.lower()}", {"AET": title, "Host": "127.0.0.1", "Port": port})


@pytest.mark.features(
    *("sources.*", "assembly.confirm_with", "glam-node archive *", "glam-node echo", "glam-node doctor")
)
def test_a_study_in_an_archive_is_fetched_and_analysed_by_every_kind_of_source(
    plain: Orthanc, secured: Orthanc, certificates: dict[str, Signed], tmp_path: Path
) -> None:
    token, ours = tmp_path / "token", certificates["node"]
    token.write_text(f"{BASIC}\n")
    token.chmod(0o600)
    tls = {"tls": True, "ca": ours.ca, "certificate": ours.certificate, "key": ours.key, "timeout": 20.0}
    with tls_in_front_of(secured.http_port, certificates["archive"]) as web_port:
        titled = {"ae_title": "ORTHANC", "host": "127.0.0.1"}
        web = {"kind": "dicomweb", "host": "localhost", "port": web_port, "server_name": "127.0.0.1", **tls}
        settings: dict[str, Any] = {
            "peers": {"orthanc": {"ae_title": "ORTHANC", "hosts": ["127.0.0.1"]}},
            "assembly": {"confirm_with": "web"},
            "destinations": {"folder": folder(tmp_path / "results", results=["measurement_report"])},
            "sources": {
                "mover": {"kind": "c-move", "port": plain.dicom_port, **titled},
                "getter": {"kind": "c-get", "port": secured.dicom_port, "modalities": ["MG", "OT"], **titled, **tls},
                "web": {**web, "service_path": "/dicom", "authorization": token},
            },
        }
        studies = {
            "mover": keep(plain, 11, "A-11"),
            "getter": keep(secured, 12, "A-12"),
            "web": keep(secured, 13, "A-13"),
        }
        patients = {"mover": ("ID-11", "A-11"), "getter": ("ID-12", "A-12"), "web": ("ID-13", "A-13")}
        with running_site(tmp_path / "node", settings) as site:
            knows(plain, "GLAMNODE", site.port)
            lines = json.loads(site.command("doctor", "--json", "--without", "model", "--without", "storage"))
            judged = {line["check"]: line for line in lines if line["check"].startswith("sources.")}
            assert {line["verdict"] for line in judged.values()} == {"ok"}, judged
            for name, uid in studies.items():
                assert site.command("echo", name).startswith("ok"), name
                patient, accession = patients[name]
                found = json.loads(site.command("archive", "query", name, "--patient-id", patient, "--json"))
                assert [one["study_instance_uid"] for one in found["studies"]] == [uid]
                said = site.command("archive", "fetch", name, "--study-uid", uid)
                assert "4 of 4 instances stored, 4 new" in said
                assert said.splitlines()[-1].startswith("Next: the node analyses it")
                described = site.wait_for(uid)
                titles = {one["calling_ae_title"] for one in described["instances"]}
                assert titles == {"web" if name == "web" else "ORTHANC"}
                again = site.command("archive", "fetch", name, "--accession", accession)
                assert "4 of 4 instances stored, 0 new" in again


@pytest.mark.features("glam-node backfill")
def test_earlier_studies_are_analysed_at_low_priority_and_their_scores_are_written(
    plain: Orthanc, tmp_path: Path
) -> None:
    earlier = [keep(plain, 30 + day, f"A-{day}", f"2020010{day}") for day in (1, 2, 3)]
    keep(plain, 39, "A-9", "20240101")
    settings: dict[str, Any] = {
        "destinations": {"folder": folder(tmp_path / "results", results=["measurement_report"])},
        "sources": {"web": {"kind": "dicomweb", "host": "127.0.0.1", "port": plain.http_port}},
    }
    scores = tmp_path / "scores.csv"
    command = ("backfill", "web", "--per-hour", "36000", "--at-once", "2", "--scores", str(scores))
    with running_site(tmp_path / "node", settings) as site:
        live = site.send_exam(99)
        said = site.command(*command, "--from", "2020-01-01", "--to", "2020-01-03")
        assert said.splitlines()[0] == "3 REPORTED"
        assert said.splitlines()[-1].startswith("Next: look at the scores")
        site.wait_for(live)
        assert {uid: priority_of(site, uid) for uid in (live, *earlier)} == {
            live: "screening",
            **dict.fromkeys(earlier, "backfill"),
        }
        with scores.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["study_instance_uid"] for row in rows] == earlier[::-1]
        assert all(0 <= float(row["malignant"]) <= 1 and row["algorithm_version"] for row in rows)
        assert [row["accession_number"] for row in rows] == ["A-3", "A-2", "A-1"]
        listed = tmp_path / "list.txt"
        listed.write_text("A-9\nA-1\n")
        assert site.command(*command, "--accessions", str(listed)).splitlines()[0] == "2 REPORTED"
        table = tmp_path / "list.csv"
        table.write_text(f"study_instance_uid\n{earlier[0]}\n")
        assert site.command(*command, "--csv", str(table)).splitlines()[0] == "1 REPORTED"
        site.command(*command, expect=2)
        site.command(*command, "--csv", str(table), "--hours", "late", expect=2)


def priority_of(site: Site, uid: str) -> str:
    """Return the priority of the study's job."""
    (submitted,) = [event for event in site.study(uid)["timeline"] if event["event"] == "job_submitted"]
    return str(submitted["detail"]["priority"])
