"""Images that name two people, and images that are sent again with the right patient, in a running node."""

import json
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.ports import free_port
from tests.system.node_process import NodeProcess, dcmsend, running_node, small_exam, wait_for_state
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the results."""
    return tmp_path_factory.mktemp("node") / "results"


@pytest.fixture(scope="module")
def node(results: Path) -> Iterator[NodeProcess]:
    port = free_port()
    settings = results.with_name("node.toml")
    settings.write_text(
        f"""
node = {{ host = "127.0.0.1", port = {port} }}
storage.root = "{results.with_name("storage")}"
inference.predictor = "glam_node.inference.threshold:ThresholdPredictor"
assembly = {{ settle_time = 1, quiet_time = 3 }}
peers.pacs.ae_title = "DCMTK"
destinations.folder = {{ kind = "folder", path = "{results}" }}
"""
    )
    with running_node(settings, port) as running:
        yield running


def changed(files: list[Path], folder: Path, **values: str) -> list[Path]:
    """Write copies with other values of some elements."""
    folder.mkdir()
    for file in files:
        image = pydicom.dcmread(file)
        for keyword, value in values.items():
            setattr(image, keyword, value)
        image.save_as(folder / file.name)
    return sorted(folder.iterdir())


def written(results: Path, exam: list[Path]) -> dict[str, pydicom.FileDataset]:
    """Return the results of the exam's study by SOP Instance UID."""
    uid = pydicom.dcmread(exam[0], stop_before_pixels=True).StudyInstanceUID
    found = [pydicom.dcmread(path, stop_before_pixels=True) for path in results.rglob("*.dcm")]
    return {str(one.SOPInstanceUID): one for one in found if one.StudyInstanceUID == uid}


def the_study(node: NodeProcess) -> str:
    """Return the study that received an instance last."""
    return str(node.studies()[0]["study_instance_uid"])


def test_a_study_of_two_people_is_left_out_and_told_of(node: NodeProcess, results: Path, tmp_path: Path) -> None:
    exam = small_exam(tmp_path / "exam", 1)
    strangers = changed(exam[2:], tmp_path / "strangers", PatientName="SMITH^MARY", PatientBirthDate="19010101")
    dcmsend(node.port, [*exam[:2], *strangers])
    wait_for_state(node, "INELIGIBLE")
    uid = the_study(node)
    said = "the 4 images do not belong together: birth date and name differ"
    told = [node.command("status", expect=1), node.command("study", uid), node.command("studies")]
    assert all(said.split(":")[0] in " ".join(one.split()) for one in told[:1])
    assert json.loads(node.command("study", uid, "--json"))["reason"] == said
    assert json.loads(node.command("study", uid, "--json"))["rule"] == "two_patients"
    assert "SMITH" not in "".join(told) + node.log()
    wait_until(lambda: "images_in_doubt" in node.log(), told=node.log)
    assert written(results, exam) == {}
    node.command("set-aside", uid, "--reason", "mixed up at the modality")
    node.command("status")


@pytest.mark.features("glam-node study take-newer")
def test_a_study_that_is_sent_again_with_the_right_patient_is_told_of_and_taken(
    node: NodeProcess, results: Path, tmp_path: Path
) -> None:
    exam = small_exam(tmp_path / "exam", 2)
    dcmsend(node.port, exam)
    wait_until(lambda: len(written(results, exam)) == 5, told=node.log)
    wait_for_state(node, "REPORTED")
    first, uid = written(results, exam), the_study(node)
    node.command("status")
    dcmsend(node.port, changed(exam, tmp_path / "corrected", PatientID="CORRECTED", PatientName="RIGHT^PATIENT"))
    assert "they state another patient" in node.command("status", expect=1)
    assert "glam-node study take-newer" in node.command("study", uid)
    (doubt,) = json.loads(node.command("status", "--json", expect=1))["in_doubt"]
    assert (doubt["study_instance_uid"], doubt["kinds"]) == (uid, ["patient"])
    assert "4 images replaced" in node.command("take-newer", uid, "--reason", "the archive corrected the patient")
    wait_until(lambda: len(written(results, exam)) == 10, told=node.log)
    new = [one for name, one in written(results, exam).items() if name not in first]
    assert {(one.PatientID, str(one.PatientName)) for one in new} == {("CORRECTED", "RIGHT^PATIENT")}
    (report,) = [one for one in new if one.Modality == "SR"]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    named = {one.ReferencedSOPInstanceUID for series in evidence for one in series.ReferencedSOPSequence}
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in exam} <= named
    assert named.isdisjoint(first)
    node.command("status")
    assert "CORRECTED" not in node.log()


def test_a_late_view_is_analysed_though_results_came_back_under_another_patient_id(
    node: NodeProcess, results: Path, tmp_path: Path
) -> None:
    exam = small_exam(tmp_path / "exam", 3)
    dcmsend(node.port, exam[:3])
    wait_until(lambda: len(written(results, exam)) == 4, told=node.log)
    wait_for_state(node, "REPORTED")
    returned = [Path(str(one.filename)) for one in written(results, exam).values()]
    dcmsend(node.port, changed(returned, tmp_path / "returned", PatientID="COERCED", PatientName="COERCED^NAME"))
    dcmsend(node.port, exam[3:])
    wait_until(lambda: len(written(results, exam)) == 6, told=node.log)
    wait_for_state(node, "REPORTED")
    assert {one.PatientID for one in written(results, exam).values()} == {pydicom.dcmread(exam[0]).PatientID}
    node.command("status")
