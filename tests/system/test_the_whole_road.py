"""A study sent by DCMTK, whose results Orthanc stores and independent programs read."""

import json
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.packages import SEEDED_PACKAGE
from tests.shared_data import SHARED, needs_shared_data
from tests.system.mammograms import wrap_exam
from tests.system.node_process import (
    NodeProcess,
    dcmsend,
    dcmtk,
    run_glam_node,
    running_node,
    settings_and_port,
)
from tests.system.orthanc import Orthanc
from tests.system.validators import dciodvfy_errors, dcmqi_masks
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(600)]


KINDS = [
    "segmentation",
    "measurement_report",
    "mammography_cad_sr",
    "presentation_state",
    "secondary_capture",
    "encapsulated_pdf",
    "key_object_selection",
]
Scores = dict[str, tuple[float, float]]


def analyse(sources: list[Path], directory: Path, settings_path: Path) -> tuple[dict[str, Path], Scores]:
    """Analyse the same sources with `analyse`; return its objects by UID and its scores (benign, malignant) by view."""
    arguments = ["analyse", *[str(path) for path in sources], "--out", str(directory), "--json"]
    (study,) = json.loads(run_glam_node(*arguments, settings_path=settings_path))["studies"]
    objects = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in directory.rglob("*.dcm")}
    return objects, {
        score["view"].replace(" ", "-"): (score["benign_score"], score["malignant_score"]) for score in study["scores"]
    }


def assert_results_are_sound(orthanc: Orthanc, sources: list[Path], node: NodeProcess, directory: Path) -> Scores:
    """Assert that every archived object is valid, readable by other programs, and equal to the output of `analyse`."""
    segmentations = orthanc.fetch("SEG", directory / "seg")
    reports = orthanc.fetch("SR", directory / "sr")
    assert len(reports) == 1
    assert segmentations
    expected, scores = analyse(sources, directory / "analyse", node.settings_path)
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in [*segmentations, *reports]} == set(expected)
    for path in [*segmentations, *reports]:
        assert dciodvfy_errors(path) == []
        assert "SOPInstanceUID" in dcmtk("dcmdump", str(path)).stdout
    rendered = dcmtk("dsrdump", str(reports[0]))
    assert rendered.returncode == 0, rendered.stderr
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sources]
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    for path in segmentations:
        assert_others_read_the_same_mask(path, expected, by_uid, directory / "nrrd" / path.stem)
    return scores


def assert_others_read_the_same_mask(
    path: Path, expected: dict[str, Path], sources: dict[str, pydicom.FileDataset], directory: Path
) -> None:
    """Assert that dcmqi reads the same masks as we do, with the Rows and Columns of the source image."""
    archived = pydicom.dcmread(path)
    ours = pydicom.dcmread(expected[str(archived.SOPInstanceUID)])
    source = sources[str(archived.SourceImageSequence[0].ReferencedSOPInstanceUID)]
    assert (archived.Rows, archived.Columns) == (source.Rows, source.Columns)
    frames = ours.pixel_array.reshape(-1, ours.Rows, ours.Columns) > 0
    masks = dcmqi_masks(path, directory)
    assert len(masks) == len(frames)
    for mask, frame in zip(masks, frames, strict=True):
        assert np.array_equal(mask, frame)


@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("dcmqi")
def test_a_phantom_exam_goes_from_dcmtk_through_glam_to_orthanc(
    orthanc: Orthanc, exam: list[Path], tmp_path: Path
) -> None:
    settings_path, port = settings_and_port(tmp_path / "node", orthanc)
    with running_node(settings_path, port) as node:
        dcmsend(node.port, exam)
        orthanc.wait_for({"SEG": 1, "SR": 1}, seconds=240)
        (study,) = node.studies()
        assert study["state"] == "REPORTED"
        assert_results_are_sound(orthanc, exam, node, tmp_path / "results")
        assert "PHANTOM" not in node.log().upper().replace("INFERENCE/PHANTOM", "")


EVERY_KIND = {"SEG": 2, "SR": 2, "PR": 2, "OT": 1, "KO": 1, "DOC": 1}


@pytest.mark.peer("dicom3tools")
def test_an_archive_that_asks_for_every_kind_of_result_has_them_byte_for_byte(
    orthanc: Orthanc, exam: list[Path], tmp_path: Path
) -> None:
    settings_path, port = settings_and_port(
        tmp_path / "node",
        orthanc,
        predictor='predictor = "glam_node.inference.threshold:ThresholdPredictor"',
        archive_gets=f"results = {KINDS}",
    )
    with running_node(settings_path, port) as node:
        dcmsend(node.port, exam)
        orthanc.wait_for(EVERY_KIND, seconds=120)
    ours = {path.stem: path for path in (tmp_path / "node" / "storage" / "results").rglob("*.dcm")}
    theirs = [path for modality in EVERY_KIND for path in orthanc.fetch(modality, tmp_path / "got" / modality)]
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in theirs} == set(ours)
    for path in theirs:
        assert data_set(path) == data_set(ours[str(pydicom.dcmread(path).SOPInstanceUID)])
        assert dciodvfy_errors(path) == []


def data_set(path: Path) -> bytes:
    """Return the bytes after the File Meta Information, which every archive writes anew (PS3.10 7.1)."""
    length = int(pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength)
    return path.read_bytes()[132 + 12 + length :]


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("dcmqi")
def test_the_real_mammograms_go_the_whole_road_and_get_the_golden_scores(orthanc: Orthanc, tmp_path: Path) -> None:
    assert SHARED is not None
    real = wrap_exam(SHARED / "data" / "mammograms", tmp_path / "real")
    sources = list(real.files.values())
    seeded = f'package = "{SEEDED_PACKAGE}"\nruntime = "torch"'
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=seeded)
    with running_node(settings_path, port) as node:
        dcmsend(node.port, sources)
        orthanc.wait_for({"SEG": 1, "SR": 1}, seconds=240)
        scores = assert_results_are_sound(orthanc, sources, node, tmp_path / "results")
        for path in orthanc.fetch("SEG", tmp_path / "results" / "seg"):
            assert str(pydicom.dcmread(path).StudyInstanceUID) == real.study_instance_uid
    golden = np.load(SHARED / "golden" / "golden_public.npz")
    for view, got in scores.items():
        assert got == pytest.approx(golden[f"img/{view}/y_global"], abs=1e-4)


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.peer("dicom3tools")
@pytest.mark.features("inference.demonstration_on_patients")
def test_files_of_other_vendors_are_reported_or_left_out_with_a_reason(orthanc: Orthanc, tmp_path: Path) -> None:
    assert SHARED is not None
    folders = [SHARED / "data" / "dicom" / name for name in ("mg", "seg", "sr", "ts", "charset")]
    files = [path for folder in folders for path in sorted(folder.glob("*.dcm"))]
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor="demonstration_on_patients = true")
    with running_node(settings_path, port) as node:
        sent = dcmtk(
            "dcmsend", "-v", "-nh", "-aet", "DCMTK", "-aec", "GLAMNODE", "127.0.0.1", str(port), *map(str, files)
        )
        summary = dict(re.findall(r"(sent to the peer|status SUCCESS) +: (\d+)", sent.stderr)[:2])
        assert summary["sent to the peer"] == summary["status SUCCESS"]
        assert int(summary["status SUCCESS"]) >= 37
        states = wait_until_judged(node)
        orthanc.wait_for({"SR": states.count("REPORTED")}, seconds=120)
        assert states.count("REPORTED") >= 2, node.studies()
        for study in node.studies():
            assert study["reason"], study
        for path in orthanc.fetch("SEG", tmp_path / "got") + orthanc.fetch("SR", tmp_path / "got"):
            assert dciodvfy_errors(path) == []


def wait_until_judged(node: NodeProcess) -> list[str]:
    """Wait until each study is reported or left out, and return the states."""

    def states() -> list[str]:
        return [str(study["state"]) for study in node.studies()]

    ends = {"REPORTED", "INELIGIBLE"}
    wait_until(lambda: set() < set(states()) <= ends, 120, told=lambda: f"{states()}: {node.log()}")
    return states()
