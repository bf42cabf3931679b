"""Tests of `glam-node analyse`: results of files, and reasons for files that are not analysed."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForProcessing

from tests.command_line import THRESHOLD, glam_node
from tests.integration.cli.conftest import Site


@pytest.fixture
def folder(tmp_path: Path, exam: list[Dataset]) -> Path:
    """Write the exam to files and return their folder."""
    (tmp_path / "exam" / "deeper").mkdir(parents=True)
    for number, dataset in enumerate(exam):
        dataset.save_as(tmp_path / "exam" / ("deeper" if number else "") / f"{number}", enforce_file_format=True)
    return tmp_path / "exam"


def analysed(*arguments: str | Path, expect: int = 0) -> dict[str, Any]:
    """Return the output of `analyse --json`."""
    result = glam_node("analyse", *arguments, "--json", expect=expect, GLAM_NODE__INFERENCE__PREDICTOR=THRESHOLD)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_segmentations_report_and_pictures_are_written(folder: Path, tmp_path: Path) -> None:
    (study,) = analysed(folder, "--out", tmp_path / "out")["studies"]
    directory = tmp_path / "out" / study["study_instance_uid"]
    modalities = [pydicom.dcmread(path).Modality for path in study["objects"]]
    assert modalities == ["SEG", "SEG", "SEG", "SEG", "SR"]
    assert sorted(path.name for path in directory.glob("*.png")) == ["L-CC.png", "L-MLO.png", "R-CC.png", "R-MLO.png"]


def test_analyse_also_writes_the_requested_kinds(folder: Path, tmp_path: Path) -> None:
    kinds = (
        "mammography_cad_sr",
        "presentation_state",
        "secondary_capture",
        "encapsulated_pdf",
        "key_object_selection",
    )
    also = [argument for kind in kinds for argument in ("--also", kind)]
    (study,) = analysed(folder, "--out", tmp_path / "out", *also)["studies"]
    names = [Path(path).name for path in study["objects"]]
    assert names[4:5] + names[-3:] == ["CAD-1.dcm", "PDF-1.dcm", "SR-1.dcm", "KO-1.dcm"]
    assert {pydicom.dcmread(path).Modality for path in study["objects"]} == {"SEG", "SR", "PR", "OT", "DOC", "KO"}


def test_an_unknown_kind_is_refused_with_those_that_are_known(folder: Path, tmp_path: Path) -> None:
    told = glam_node("analyse", folder, "--out", tmp_path / "out", "--also", "overlay", expect=2).stderr
    assert "overlay is not a kind of result" in told
    assert not (tmp_path / "out").exists()


def test_the_table_says_that_the_model_is_untrained(folder: Path, tmp_path: Path) -> None:
    told = glam_node("analyse", folder, "--out", tmp_path / "out", GLAM_NODE__INFERENCE__PREDICTOR=THRESHOLD).stdout
    assert "UNTRAINED" in told
    assert "R MLO" in told


def test_the_results_are_those_of_the_node(site: Site, folder: Path, exam: list[Dataset], tmp_path: Path) -> None:
    """Check that the UIDs are the same, so that an archive that gets both keeps each object once."""
    glam_node("--settings", site.settings_path, "analyse", folder, "--out", tmp_path / "out")
    ours = {str(pydicom.dcmread(path).SOPInstanceUID) for path in (tmp_path / "out").rglob("*.dcm")}
    site.bench.run(site.bench.submitted(*exam))
    assert set(site.bench.results()) == ours


def test_the_results_of_corrected_files_have_new_uids(folder: Path, tmp_path: Path) -> None:
    """Check that the UIDs differ: an archive would keep the first results and refuse others with the same UIDs."""
    analysed(folder, "--out", tmp_path / "first")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        image = pydicom.dcmread(path)
        image.PatientID = "CORRECTED"
        image.save_as(path)
    analysed(folder, "--out", tmp_path / "corrected")
    uids = [
        {pydicom.dcmread(path).SOPInstanceUID for path in (tmp_path / name).rglob("*.dcm")}
        for name in ("first", "corrected")
    ]
    assert uids[0]
    assert uids[0].isdisjoint(uids[1])


def test_a_second_run_writes_the_same_files(folder: Path, tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        analysed(folder, "--out", tmp_path / "out")
        names.append(sorted(path.name for path in (tmp_path / "out").rglob("*")))
    assert names[0] == names[1]


def test_a_file_that_is_not_dicom_is_refused_with_its_reason(folder: Path, tmp_path: Path) -> None:
    (folder / "note.txt").write_text("no image")
    told = analysed(folder, "--out", tmp_path / "out", expect=1)
    assert len(told["studies"]) == 1
    assert [(Path(one["what"]).name, one["reason"]) for one in told["refused"]] == [
        ("note.txt", "This is not a readable DICOM file (InvalidDicomError).")
    ]


def test_a_study_that_is_not_eligible_is_refused_with_the_rule(exam: list[Dataset], tmp_path: Path) -> None:
    raw = deepcopy(exam[0])
    raw.PresentationIntentType = "FOR PROCESSING"
    raw.SOPClassUID = raw.file_meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    raw.save_as(tmp_path / "raw.dcm", enforce_file_format=True)
    told = analysed(tmp_path / "raw.dcm", "--out", tmp_path / "out", expect=1)
    assert told["studies"] == []
    assert "for_processing_only" in told["refused"][0]["reason"]


STRANGERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "another ID": ({}, {"PatientID": "SOMEBODY ELSE"}),
    "the same ID of another issuer": (
        {"PatientID": "12345", "IssuerOfPatientID": "A"},
        {"PatientID": "12345", "IssuerOfPatientID": "B", "PatientName": "SOMEBODY^ELSE"},
    ),
    "no ID and another birth date": (
        {"PatientID": "", "PatientBirthDate": "19600101"},
        {"PatientID": "", "PatientBirthDate": "19750505"},
    ),
    "one ID missing and another name": ({}, {"PatientID": "", "PatientName": "SOMEBODY^ELSE"}),
    "another sex": ({"PatientSex": "F"}, {"PatientSex": "M"}),
}


@pytest.mark.parametrize(("everybody", "stranger"), STRANGERS.values(), ids=STRANGERS.keys())
def test_files_of_two_patients_in_one_study_are_not_mixed(
    folder: Path, tmp_path: Path, everybody: dict[str, str], stranger: dict[str, str]
) -> None:
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        image = pydicom.dcmread(path)
        for keyword, value in {**everybody, **(stranger if number == 0 else {})}.items():
            setattr(image, keyword, value)
        image.save_as(path)
    told = analysed(folder, "--out", tmp_path / "out", expect=1)
    assert "two_patients" in told["refused"][0]["reason"]
    assert "SOMEBODY" not in json.dumps(told)
    assert list((tmp_path / "out").rglob("*.dcm")) == []


def test_a_copy_of_an_image_that_names_another_patient_is_told_apart(folder: Path, tmp_path: Path) -> None:
    copy = pydicom.dcmread(folder / "0")
    copy.PatientID = "CORRECTED"
    copy.save_as(folder / "1")
    told = analysed(folder, "--out", tmp_path / "out", expect=1)
    assert "though they state other facts of patient or study" in told["refused"][0]["reason"]


def test_an_image_that_cannot_be_decoded_harms_no_other(folder: Path, tmp_path: Path) -> None:
    broken = pydicom.dcmread(folder / "0")
    broken.PixelData = broken.PixelData[:100]
    broken.save_as(folder / "0")
    told = analysed(folder, "--out", tmp_path / "out", expect=1)
    assert [score["failure"] == "" for score in told["studies"][0]["scores"]].count(True) == 3
    assert "cut short" in told["refused"][0]["reason"]


def test_an_image_of_another_view_is_left_out_without_a_failure(folder: Path, tmp_path: Path) -> None:
    other = pydicom.dcmread(folder / "0")
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = UID("2.25.7")
    other.ViewPosition = "ML"
    del other.ViewCodeSequence
    other.save_as(folder / "ml.dcm")
    told = analysed(folder, "--out", tmp_path / "out")
    assert [Path(one["what"]).name for one in told["left_out"]] == ["ml.dcm"]


def test_a_folder_without_images_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert analysed(tmp_path / "empty", "--out", tmp_path / "out", expect=1)["studies"] == []
