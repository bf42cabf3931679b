"""Prior exams fetched from a real archive by `glam-node serve`, and compared in the results."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.integration.modality import small_exam
from tests.ports import free_port
from tests.system.orthanc import Orthanc
from tests.system.site import Site, folder, objects, running, running_site, written_site
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("orthanc-dicomweb"),
    pytest.mark.timeout(600),
]
PATIENT = {"PatientID": "ID-7", "PatientBirthDate": "19640203", "PatientName": "Testfrau^Anna"}


def exam_of(seed: int, date: str, **patient: str) -> list[Dataset]:
    """Return four small views of a patient at a date; the same seed gives the same pixels and other UIDs."""
    views = small_exam(seed)
    study = generate_uid()
    for view in views:
        view.StudyInstanceUID, view.SeriesInstanceUID, view.SOPInstanceUID = study, generate_uid(), generate_uid()
        view.file_meta.MediaStorageSOPInstanceUID = view.SOPInstanceUID
        view.StudyDate, view.AccessionNumber = date, f"A-{date}"
        for keyword, value in {**PATIENT, **patient}.items():
            setattr(view, keyword, value)
    return views


def keep(orthanc: Orthanc, views: list[Dataset]) -> str:
    """Store an exam in Orthanc by its REST interface, and return its Study Instance UID."""
    for view in views:
        path = orthanc.directory / f"{view.SOPInstanceUID}.dcm"
        view.save_as(path, enforce_file_format=True)
        orthanc.post("/instances", path.read_bytes())
    return str(views[0].StudyInstanceUID)


def listed(site: Site) -> set[str]:
    """Return the UIDs of the studies that the node has."""
    return {one["study_instance_uid"] for one in json.loads(site.command("study", "list", "--json"))}


@pytest.mark.features(
    "rules.NAME.priors", "rules.NAME.priors_from", "rules.NAME.priors_maximum_age", "rules.NAME.priors_wait"
)
def test_the_report_compares_an_exam_with_the_prior_exams_that_the_archive_sends(
    plain: Orthanc, tmp_path: Path
) -> None:
    earlier, oldest = keep(plain, exam_of(74, "20230405")), keep(plain, exam_of(72, "20210405"))
    others = {
        keep(plain, exam_of(73, "20220405", PatientBirthDate="19650203")),
        keep(plain, exam_of(73, "20220405", PatientID="ID-8")),
        keep(plain, exam_of(75, "20150405")),
        keep(plain, exam_of(76, "20250405")),
    }
    results = ["segmentation", "measurement_report"]
    settings: dict[str, Any] = {
        "peers": {"orthanc": {"ae_title": "ORTHANC", "hosts": ["127.0.0.1"]}},
        "destinations": {"folder": folder(tmp_path / "results", results=results)},
        "sources": {"pacs": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": plain.dicom_port, "timeout": 20.0}},
        "rules": {
            "screening": {
                "when": "images > 0",
                "priors": 2,
                "priors_from": "pacs",
                "priors_maximum_age": "7Y",
                "priors_wait": 200.0,
            },
            "unchanged": {
                "when": "prior_exams == 2 and malignant_change == 0 and new_findings == 0",
                "results": ["measurement_report"],
            },
        },
    }
    with running_site(tmp_path / "node", settings) as site:
        plain.put("/modalities/glamnode", {"AET": "GLAMNODE", "Host": "127.0.0.1", "Port": site.port})
        uid = site.send(exam_of(74, "20250405"))
        site.wait_for_deliveries(uid, seconds=240)
        (report,) = objects(tmp_path / "results")
        assert [one.StudyInstanceUID for one in report.PertinentOtherEvidenceSequence] == [earlier, oldest]
        assert report.StudyInstanceUID == uid
        assert listed(site) == {uid, earlier, oldest}
        assert not others & listed(site)
        told = site.study(uid)
        assert told["rule"] == "rules.unchanged"
        assert told["priors"]["state"] == "DONE"
        newest, older = told["priors"]["exams"]
        assert (newest["study_date"], older["study_date"]) == ("20230405", "20210405")
        assert newest["changes"] == {"benign": 0, "malignant": 0}
        assert {one["distance_mm"] for one in newest["correspondences"]} == {0.0}
        assert "Prior exam of 2023-04-05" in site.command("study", uid)
        for prior in (earlier, oldest):
            assert site.study(prior)["deliveries"] == []
            assert site.study(prior)["priors"] is None
        lines = json.loads(site.command("doctor", "--json", "--without", "model", "--without", "storage"))
        judged = {line["check"]: (line["verdict"], line["fact"]) for line in lines if "prior" in line["check"]}
        assert judged["rules.screening.priors"][0] == "ok"
        assert judged["prior exams"] == ("ok", "in 7 days: 1 in time, 0 too late, 0 waiting")


@pytest.mark.features("rules.NAME.analyse_priors", "rules.NAME.send_priors")
def test_an_exam_is_analysed_in_time_although_the_archive_is_away(plain: Orthanc, tmp_path: Path) -> None:
    keep(plain, exam_of(71, "20230405"))
    web = {"kind": "dicomweb", "host": "127.0.0.1", "port": plain.http_port}
    settings: dict[str, Any] = {
        "destinations": {"folder": folder(tmp_path / "results", results=["measurement_report"])},
        "sources": {"away": {**web, "port": free_port(), "timeout": 2.0}, "web": web},
        "rules": {
            "away": {
                "when": "StudyDate >= 2025-06-01",
                "priors": 1,
                "priors_from": "away",
                "priors_wait": 4.0,
            },
            "kept": {
                "when": "StudyDate >= 2025-05-01",
                "priors": 1,
                "priors_from": "web",
                "analyse_priors": False,
            },
            "sent": {"when": "images > 0", "priors": 1, "priors_from": "web", "send_priors": True},
        },
    }
    with running_site(tmp_path / "node", settings) as site:
        begun = time.monotonic()
        late = site.send(exam_of(74, "20250605"))
        told = site.wait_for(late)
        assert told["priors"]["state"] == "EXPIRED"
        assert time.monotonic() - begun > 4
        assert "away" in told["priors"]["outcome"]
        site.wait_for_deliveries(late)
        (report,) = objects(tmp_path / "results")
        assert "PertinentOtherEvidenceSequence" not in report
        for fact in PATIENT.values():
            assert fact not in site.log()

        known = keep(plain, exam_of(76, "20220405", PatientID="ID-9"))
        without = site.wait_for(site.send(exam_of(77, "20250506", PatientID="ID-9")))
        (found,) = without["priors"]["found"]
        assert (found["study_instance_uid"], found["state"]) == (known, "UNUSABLE")
        assert (site.study(known)["state"], site.study(known)["rule"]) == ("INELIGIBLE", "rules.kept")

        prior = keep(plain, exam_of(78, "20220405", PatientID="ID-10"))
        first = site.send(exam_of(79, "20250405", PatientID="ID-10"))
        site.wait_for(first)
        site.wait_for_deliveries(prior)
        assert len(site.study(prior)["deliveries"]) == 1


def test_a_restarted_node_goes_on_to_wait_for_prior_exams(plain: Orthanc, tmp_path: Path) -> None:
    prior = keep(plain, exam_of(71, "20230405"))
    plain.stop()
    settings: dict[str, Any] = {
        "destinations": {"folder": folder(tmp_path / "results", results=["measurement_report"])},
        "sources": {"web": {"kind": "dicomweb", "host": "127.0.0.1", "port": plain.http_port, "timeout": 2.0}},
        "rules": {"all": {"when": "images > 0", "priors": 1, "priors_from": "web", "priors_wait": 300.0}},
    }
    site = written_site(tmp_path / "node", settings)
    with running(site):
        uid = site.send(exam_of(74, "20250405"))
        wait_until(lambda: "did not answer" in (site.study(uid)["priors"] or {}).get("outcome", ""), 60, site.log)
    plain.start()
    with running(site):
        told = site.wait_for(uid, seconds=200)
    assert told["priors"]["state"] == "DONE"
    assert [one["study_instance_uid"] for one in told["priors"]["exams"]] == [prior]
