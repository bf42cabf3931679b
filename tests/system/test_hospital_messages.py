"""HL7 messages of a hospital into `glam-node serve`, sent by software of another maker."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from glam_node.node.hl7.message import CHARACTER_SETS
from tests.certificates import Authority
from tests.hl7 import hospital
from tests.hl7.frames import exchange, framed_text
from tests.integration.console.browser import Browser
from tests.integration.modality import small_exam
from tests.ports import free_port
from tests.posts import Posts
from tests.system.orthanc import Orthanc
from tests.system.site import Site, folder, objects, running_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("node"), pytest.mark.peer("hl7-engine"), pytest.mark.timeout(400)]

RULES: dict[str, Any] = {
    "blind": {"when": 'StationName == "BLIND"', "then": "hold"},
    "found": {"when": 'StationName == "FOUND" and benign_score is present', "priority": "urgent"},
}


@dataclass
class Place:
    """A site that takes messages of the hospital."""

    site: Site
    port: int
    posts: Posts

    def send_exam(self, seed: int, patient_id: str, accession: str = "", **elements: Any) -> str:
        """Send an exam of a patient whose name is Anna Muster, and return its Study Instance UID."""
        identity = {"PatientID": patient_id, "PatientName": "Muster^Anna", "PatientBirthDate": "19600131"}
        return self.site.send_exam(seed, **identity, PatientSex="F", AccessionNumber=accession, **elements)

    def events(self, study: str) -> list[str]:
        """Return the kinds of the events of a study."""
        return [event["event"] for event in self.site.study(study)["timeline"]]

    def reasons(self, study: str, kind: str) -> str:
        """Return the reasons of the events of this kind."""
        timeline = self.site.study(study)["timeline"]
        return "\n".join(event["detail"].get("reason", "") for event in timeline if event["event"] == kind)

    def delivered(self, study: str) -> list[Any]:
        """Return the objects of a study in the archive."""
        return [one for one in objects(self.site.path.parent / "archive") if one.StudyInstanceUID == study]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root, port, posts = tmp_path_factory.mktemp("hospital"), free_port(), Posts("/hook", ill_status=503)
    settings = {
        "hl7": {
            "host": "127.0.0.1", "port": port, "senders": ["RIS|HOSPITAL", "READER"], "application": "GLAMNODE",
            "hosts": ["127.0.0.0/8"], "assigning_authority": "HOSP", "release_on": ["final_report", "completed_order"],
            "character_set": "iso-8859-1", "accession_number": ["IPC-1", "OBR-18", "ORC-3.1"],
        },
        "rules": RULES,
        "alerts": {"webhook_url": f"{posts.url}/hook"},
        "destinations": {"archive": folder(root / "archive", results=["measurement_report", "segmentation"])},
    }  # fmt: skip
    with posts.listening(), running_site(root, settings) as site:
        yield Place(site, port, posts)


@pytest.mark.features("hl7.host", "hl7.port", "hl7.senders", "hl7.hosts", "hl7.application")
def test_a_message_is_accepted_once_and_others_are_rejected_with_their_reason(place: Place) -> None:
    text = hospital.corrected(hospital.patient("P-0^^^HOSP"))
    assert [hospital.send(place.port, text) for _ in range(2)] == ["AA", "AA"]
    stranger = hospital.corrected(hospital.patient("P-0"), sender="EVIL|")
    elsewhere = text.replace("|GLAMNODE|", "|OTHER|")
    discharged = text.replace("ADT^A08^ADT_A01", "ADT^A03^ADT_A03")
    nobody = hospital.header("ADT^A08") + "\rEVN||20261201010203\rPV1|1|O\r"
    nameless = text.replace("P-0^^^HOSP", "")
    unnumbered = hospital.ordered(hospital.patient("P-0"), "")
    wrong = [elsewhere, discharged, nobody, nameless, unnumbered.replace("F-|", "|"), stranger]
    answers = hospital.send_all(place.port, wrong)
    assert [one.segments[1].field(1) for one in answers] == ["AR"] * len(wrong)
    errors = [one.first("ERR") for one in answers]
    assert [(one.component(3), one.field(2)) for one in errors if one is not None] == [
        ("103", "MSH^1^5"), ("201", "MSH^1^9"), ("100", "PID^1"), ("101", "PID^1^3"), ("101", "OBR^1^18"),
        ("103", "MSH^1^3"),
    ]  # fmt: skip
    told = place.site.command("status")
    assert "EVIL at 127.0.0.1: MSH-3 and MSH-4 are not in hl7.senders" in told
    assert '"outcome": "repeated"' in place.site.log() or "outcome=repeated" in place.site.log()
    assert "Muster" not in place.site.log()
    assert "P-0" not in place.site.log()


@pytest.mark.features("hl7.character_set*", "glam-node settings reload")
def test_a_message_that_declares_no_character_set_is_in_that_of_the_site(place: Place) -> None:
    head = hospital.header("ADT^A08", character_set="").replace("ADT_A08", "ADT_A01")
    pid = hospital.patient("P-0^^^HOSP", "Müller^Änne")
    undeclared = hospital.message(head, "EVN||20261201010203", pid, "PV1|1|O")

    def answer_to(message: str) -> str:
        (answer,) = hospital.send_all(place.port, [message], "latin1")
        return answer.segments[1].field(1)

    for chosen in [one for one in CHARACTER_SETS if one != "iso-8859-15"]:
        place.site.reload({"hl7": {"character_set": chosen}})
        # The former process may take one more connection after the reload is answered.
        wanted = "AR" if chosen == "utf-8" else "AA"
        wait_until(lambda: answer_to(undeclared) == wanted)  # noqa: B023 - called at once


@pytest.mark.features("hl7.assigning_authority", "glam-node study release")
def test_results_of_a_corrected_patient_are_held_until_a_person_releases_them(place: Place) -> None:
    study = place.send_exam(811, "P-1", "A-1", StationName="BLIND")
    place.site.wait_for(study)
    same, other = hospital.patient("P-1^^^HOSP", "MUSTER^ANNA"), hospital.patient("P-1^^^ELSEWHERE", "Else^Eva")
    new = hospital.patient("P-1^^^HOSP", "Neumann^Anna")
    for pid in (same, other):
        assert hospital.send(place.port, hospital.corrected(pid)) == "AA"
    assert "patient_changed" not in place.events(study)
    assert hospital.send(place.port, hospital.corrected(new)) == "AA"
    held = place.site.study(study)
    assert held["standing"] == "HELD"
    assert held["standing_reason"].startswith("the patient was corrected after the images were made: name differs")
    assert hospital.send(place.port, hospital.reported(new, "A-1")) == "AA"
    place.site.send_exam(812)  # the next tick of the dispatcher releases no study whose patient is in doubt
    assert place.site.study(study)["standing"] == "HELD"
    assert f"{study}: the patient was corrected" in place.site.command("status")
    assert place.delivered(study) == []
    place.site.command("study", "release", study)
    place.site.wait_for_deliveries(study)
    assert {str(one.PatientName) for one in place.delivered(study)} == {"Muster^Anna"}
    assert hospital.send(place.port, hospital.corrected(new)) == "AA"
    assert place.site.study(study)["standing"] == "FREE"
    wait_until(lambda: any(study.encode() in body for body in place.posts.bodies), told=place.site.log)
    assert "Neumann" not in str(place.posts.bodies)


def test_a_correction_after_the_results_were_sent_is_reported_and_holds_the_study(place: Place) -> None:
    study = place.send_exam(813, "P-2")
    place.site.wait_for_deliveries(study)
    before = {one.SOPInstanceUID for one in place.delivered(study)}
    assert hospital.send(place.port, hospital.corrected(hospital.patient("P-2", "Neumann^Anna"))) == "AA"
    assert "archive already had results" in place.reasons(study, "patient_changed")
    told = place.site.study(study)
    assert (told["standing"], told["state"]) == ("HELD", "REPORTED")
    assert f"    {study}: {told['standing_reason']}\n" in place.site.command("status")
    assert "archive already had results" in told["standing_reason"]
    assert {one.SOPInstanceUID for one in place.delivered(study)} == before
    wait_until(lambda: any(study.encode() in body for body in place.posts.bodies), told=place.site.log)
    place.site.command("study", "release", study)
    assert study not in place.site.command("status")


@pytest.mark.features("hl7.release_on*")
@pytest.mark.parametrize("is_early", [True, False], ids=["before the analysis", "after the analysis"])
def test_results_of_a_blind_read_are_sent_once_the_report_of_the_first_reader_is_final(
    place: Place, is_early: bool
) -> None:
    number = 3 + is_early
    pid, accession = hospital.patient(f"P-{number}^^^HOSP"), f"A-{number}"
    if is_early:
        assert hospital.send(place.port, hospital.reported(pid, accession, sender="READER|")) == "AA"
    study = place.send_exam(820 + number, f"P-{number}", accession, StationName="BLIND")
    if not is_early:
        held = place.site.wait_for(study)
        assert held["standing"] == "HELD"
        assert held["standing_reason"].endswith("holds the results until a person or an HL7 message releases the study")
        for early in (hospital.reported(pid, accession, "P"), hospital.reported(hospital.patient("P-99"), accession)):
            assert hospital.send(place.port, early) == "AA"
        place.site.send_exam(829)
        assert place.site.study(study)["standing"] == "HELD"
        done = hospital.ordered(pid, accession, control="SC", status="CM")
        assert hospital.send(place.port, done) == "AA"
    place.site.wait_for_deliveries(study)
    told = place.reasons(study, "study_released")
    assert "the first read is done" in told
    assert "until a person" not in told
    assert len(place.delivered(study)) > 0


@pytest.mark.features("hl7.accession_number")
def test_a_study_takes_the_priority_of_its_order(place: Place) -> None:
    pid = hospital.patient("P-5^^^HOSP")
    assert hospital.send(place.port, hospital.ordered(pid, "A-5", priority="S")) == "AA"
    study = place.send_exam(831, "P-5", "A-5")
    stranger = place.send_exam(832, "P-6", "A-5")
    assert {uid: submitted(place, uid)["priority"] for uid in (study, stranger)} == {
        study: "urgent",
        stranger: "screening",
    }


@pytest.mark.features("rules.NAME.priority", "rules.NAME.priority = urgent")
def test_a_rule_about_results_chooses_their_priority(place: Place) -> None:
    study = place.send_exam(833, "P-7", StationName="FOUND")
    told = place.site.wait_for(study)
    assert told["rule"] == "rules.found"
    assert "with priority urgent" in told["reason"]


def submitted(place: Place, study: str) -> dict[str, Any]:
    """Return the detail of the event of the study's job."""
    place.site.wait_for(study)
    return next(one["detail"] for one in place.site.study(study)["timeline"] if one["event"] == "job_submitted")


@pytest.mark.features(
    *("hl7.patient_corrected", "hl7.patient_corrected = follow", "hl7.patient_merged", "hl7.patient_merged = follow"),
    "glam-node settings reload",
)
def test_results_follow_corrections_and_merges_where_the_site_says_so(place: Place) -> None:
    place.site.reload({"hl7": {"patient_corrected": "follow", "patient_merged": "follow"}})
    study = place.send_exam(841, "P-8", "A-8", StationName="BLIND")
    place.site.wait_for(study)
    first = {one["sop_instance_uid"] for one in place.site.study(study)["deliveries"]}
    assert hospital.send(place.port, hospital.corrected(hospital.patient("P-8^^^HOSP", "Neumänn^Anna"))) == "AA"
    assert "results are made for the corrected patient" in place.reasons(study, "patient_changed")
    wait_until(lambda: place.events(study).count("study_held") == 2, 60, place.site.log)
    place.site.command("study", "release", study)
    place.site.wait_for_deliveries(study)
    assert {str(one.PatientName) for one in place.delivered(study)} == {"Neumänn^Anna"}
    assert not {one.SOPInstanceUID for one in place.delivered(study)} & first
    survivor = hospital.patient("P-10^^^HOSP", "Muster^Anna")
    assert hospital.send(place.port, hospital.merged(survivor, "P-9^^^HOSP")) == "AA"
    late = place.send_exam(842, "P-9")
    place.site.wait_for_deliveries(late)
    assert {str(one.PatientID) for one in place.delivered(late)} == {"P-10"}
    assert "merged into another one" in place.reasons(late, "patient_changed")
    doubtful = place.send_exam(843, "P-11", StationName="BLIND")
    place.site.wait_for(doubtful)
    stranger = hospital.patient("P-11^^^HOSP", "Else^Eva", "19710203")
    assert hospital.send(place.port, hospital.corrected(stranger)) == "AA"
    assert place.site.study(doubtful)["standing_reason"].startswith("the patient was corrected")
    assert json.loads(place.site.command("status", "--json"))["held"][doubtful]


@pytest.mark.features("hl7.patient_corrected = hold", "hl7.patient_merged = hold")
def test_a_study_that_arrives_after_the_merge_of_its_patient_is_held(place: Place) -> None:
    place.site.reload({"hl7": {"patient_merged": "hold", "patient_corrected": "hold"}})
    assert hospital.send(place.port, hospital.merged(hospital.patient("P-21"), "P-20")) == "AA"
    study = place.send_exam(851, "P-20")
    wait_until(lambda: place.site.study(study)["standing"] == "HELD", 60, place.site.log)
    assert place.site.study(study)["standing_reason"].startswith("the Patient ID of the images was merged")
    place.site.command("study", "release", study)
    place.site.wait_for_deliveries(study)
    assert {str(one.PatientID) for one in place.delivered(study)} == {"P-20"}
    assert len(small_exam(851)) == 4


@pytest.mark.features("hl7.certificate", "hl7.key", "hl7.ca")
def test_messages_over_tls_are_accepted_from_holders_of_a_certificate_only(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path / "authority"), free_port()
    ours, theirs = authority.sign("127.0.0.1"), authority.sign("engine")
    tls = {"certificate": ours.certificate, "key": ours.key, "ca": ours.ca}
    settings = {"hl7": {"host": "127.0.0.1", "port": port, "senders": ["RIS|HOSPITAL"], **tls}}
    frame = framed_text(hospital.corrected(hospital.patient("P-1")))
    with running_site(tmp_path / "node", settings) as site:
        assert b"MSA|AA|" in exchange(port, frame, signed=theirs)
        assert exchange(port, frame, signed=theirs, presents=False) == b""
        assert exchange(port, frame) == b""
        wait_until(lambda: "the TLS handshake failed" in site.command("status"), told=site.log)


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.features("hl7.fetch_*")
def test_the_study_of_an_order_is_fetched_once_it_is_in_the_archive(orthanc: Orthanc, tmp_path: Path) -> None:
    port, console_port = free_port(), free_port()
    settings = {
        "hl7": {
            "host": "127.0.0.1", "port": port, "senders": ["RIS|HOSPITAL"], "fetch_from": "pacs", "fetch_interval": 0.5,
            "fetch_time": 600.0,
        },
        "console": {"port": console_port},
        "peers": {"orthanc": {"ae_title": "ORTHANC", "hosts": ["127.0.0.1"]}},
        "sources": {"pacs": {"ae_title": "ORTHANC", "port": orthanc.dicom_port}},
        "destinations": {"folder": folder(tmp_path / "results", results=["measurement_report"])},
    }  # fmt: skip
    with running_site(tmp_path / "node", settings) as site:
        orthanc.put("/modalities/node", {"AET": "GLAMNODE", "Host": "127.0.0.1", "Port": site.port})
        first, second = (hospital.patient(f"ID-{number}") for number in (61, 62))
        study = str(small_exam(61)[0].StudyInstanceUID)
        assert hospital.send(port, hospital.imaging_ordered(first, "A-61", study, priority="A")) == "AA"
        assert hospital.send(port, hospital.ordered(second, "A-62", when="")) == "AA"
        assert hospital.send(port, hospital.ordered(hospital.patient("ID-63"), "A-63", when="20991231")) == "AA"
        wait_until(lambda: "the source has no study of the order yet" in queue_of(console_port), 60, site.log)
        assert hospital.send(port, hospital.ordered(second, "A-62", control="CA")) == "AA"
        orders = json.loads(site.command("status", "--json"))["orders"]
        assert orders == {"WAITING": 2, "WITHDRAWN": 1}
        for number in (61, 62):
            keep(orthanc, number, f"A-{number}", f"ID-{number}")
        wait_until(lambda: study in site.command("study", "list"), 60, site.log)
        told = site.wait_for(study)
        assert {one["calling_ae_title"] for one in told["instances"]} == {"ORTHANC"}
        submitted_with = [one["detail"] for one in told["timeline"] if one["event"] == "job_submitted"]
        assert submitted_with[0]["priority"] == "urgent"
        wait_until(lambda: json.loads(site.command("status", "--json"))["orders"].get("FETCHED") == 1, 60, site.log)
        assert "order_fetched" in [one["event"] for one in site.study(study)["timeline"]]
        listed = site.command("study", "list")
        assert str(small_exam(62)[0].StudyInstanceUID) not in listed
        lines = json.loads(site.command("doctor", "--json", "--without", "model", "--without", "storage"))
        judged = {line["check"]: line["verdict"] for line in lines}
        assert {judged[name] for name in ("HL7 port", "HL7 port answers", "orders")} == {"ok"}
        assert "ID-6" not in site.log()
        assert "A-6" not in site.log()


def queue_of(console_port: int) -> str:
    """Return the page of the queue."""
    return Browser(console_port).ask("/queue")[1]


def keep(orthanc: Orthanc, seed: int, accession: str, patient_id: str) -> None:
    """Store an exam in Orthanc."""
    for number, view in enumerate(small_exam(seed)):
        view.AccessionNumber, view.PatientID = accession, patient_id
        path = orthanc.directory / f"{seed}-{number}.dcm"
        view.save_as(path, enforce_file_format=True)
        orthanc.post("/instances", path.read_bytes())
