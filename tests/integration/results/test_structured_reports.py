"""Validation of both reports by PixelMed, and the content of the CAD report as DCMTK reads it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from glam_node.node.workflow.analyse.predecessors import name_predecessor
from glam_node.result_kinds import MAMMOGRAPHY_CAD_SR, REPORTS
from tests.integration.results.pixelmed import ReportValidator, report_validator
from tests.integration.results.written import exam_of, written
from tests.peers import PEERS
from tests.system.validators import dciodvfy_errors
from tests.unit.results.analysed import IDENTITY, Analysed, stored
from tests.unit.results.cad_reports import cad_report, flipped
from tests.unit.results.vendors import vendor_exam
from tests.unit.results.with_priors import prior_of, report_with

CASES = [
    "findings",
    "no findings",
    "failed image",
    "all failed",
    "single breast",
    "single view",
    "MONOCHROME1",
    "flipped",
    "bare headers",
]
BARE = {"ImagerPixelSpacing": None, "PatientOrientation": None, "StudyDate": None, "StudyTime": None}


def case(name: str) -> Analysed:
    exam = exam_of(name)
    if name == "single breast":
        return exam.only("L CC", "L MLO")
    if name == "single view":
        return vendor_exam("GE large")
    if name == "MONOCHROME1":
        return vendor_exam("Hologic, 16 bits")
    if name == "flipped":
        return flipped(exam).only("L CC", "R CC", "L MLO")
    return exam.with_source_elements(**BARE) if name == "bare headers" else exam


@pytest.fixture(scope="module")
def pixelmed() -> Iterator[ReportValidator]:
    """Yield the validator, started once."""
    with report_validator() as running:
        yield running


@pytest.mark.peer("java")
@pytest.mark.peer("pixelmed")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["measurement report", "mammography cad sr"])
def test_pixelmed_finds_no_error(pixelmed: ReportValidator, tmp_path: Path, kind: str, name: str) -> None:
    exam = case(name)
    report = exam.report() if kind == "measurement report" else cad_report(exam)
    assert pixelmed.errors(written(report, tmp_path)) == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("java")
@pytest.mark.peer("pixelmed")
@pytest.mark.parametrize("kind", REPORTS)
def test_no_validator_finds_an_error_in_a_report_that_follows_another(
    pixelmed: ReportValidator, tmp_path: Path, kind: str
) -> None:
    exam = exam_of("findings")
    write = cad_report if kind == MAMMOGRAPHY_CAD_SR else Analysed.report
    report = write(exam)
    earlier = written(write(exam.only("L CC")), tmp_path)
    name_predecessor(report, {report.SOPClassUID: earlier})
    assert "PredecessorDocumentsSequence" in report
    path = written(report, tmp_path)
    assert (dciodvfy_errors(path), pixelmed.errors(path)) == ([], [])


@pytest.mark.peer("java")
@pytest.mark.peer("pixelmed")
def test_pixelmed_would_find_a_finding_without_centre(pixelmed: ReportValidator, tmp_path: Path) -> None:
    report = cad_report(exam_of("findings").only("L CC"))
    (finding,) = report.ContentSequence[2].ContentSequence[-1].ContentSequence[1:]
    del finding.ContentSequence[-2]
    assert any("Center" in error for error in pixelmed.errors(written(report, tmp_path)))


@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("java")
@pytest.mark.peer("pixelmed")
@pytest.mark.parametrize("kind", ["measurement report", "mammography cad sr"])
def test_no_validator_finds_an_error_in_a_report_with_old_codes(
    pixelmed: ReportValidator, tmp_path: Path, kind: str
) -> None:
    exam, identity = vendor_exam("Siemens"), IDENTITY.presented({"code_scheme": "SRT"})
    segmentations = exam.segmentations(identity)
    if kind == "measurement report":
        report = exam.report_beside(segmentations, identity)
    else:
        report = stored(write_mammography_cad_sr(exam.findings, exam.sources, segmentations, identity))
    path = written(report, tmp_path)
    assert (dciodvfy_errors(path), pixelmed.errors(path)) == ([], [])


@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("java")
@pytest.mark.peer("pixelmed")
@pytest.mark.parametrize("comprehensive", [False, True])
def test_no_validator_finds_an_error_in_a_report_with_prior_exams(
    pixelmed: ReportValidator, tmp_path: Path, comprehensive: bool
) -> None:
    exam = exam_of("findings")
    priors = [prior_of(exam), prior_of(exam, same_model=False, date="20210405")]
    path = written(report_with(exam, *priors, comprehensive=comprehensive), tmp_path)
    assert (dciodvfy_errors(path), pixelmed.errors(path)) == ([], [])


def dumped(report: Dataset, directory: Path) -> str:
    """Return the document as DCMTK prints it."""
    program = PEERS["dcmtk"].program.with_name("dsrdump")
    done = subprocess.run([program, "+Pl", written(report, directory)], capture_output=True, timeout=60, check=True)
    return done.stdout.decode("utf-8")


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("name", CASES)
def test_dcmtk_reads_the_centres_scores_and_images_that_were_found(tmp_path: Path, name: str) -> None:
    exam = case(name)
    text = dumped(cad_report(exam), tmp_path)
    read = re.findall(
        r'"([RL] \w+ \w+ \d+)">.*?Certainty.*?"([\d.]+)" .*?POINT,([\d.]+)/([\d.]+)\)>\s+<selected from 1.2.(\d)>',
        text,
        re.S,
    )
    images = exam.findings.images
    assert len(read) == sum(len(image.findings) for image in images)
    for tracking_id, certainty, column, row, number in read:
        image = images[int(number) - 1]
        assert tracking_id.startswith(f"{image.image_laterality} {image.view_position} ")
        masks = {round(100 * one.score, 3): one.full_mask(image.shape) for one in image.findings}
        assert masks[float(certainty)][int(float(row)), int(float(column))]
    assert "UNTRAINED" in text
    assert text.count("could not be analysed") == sum(image.failure is not None for image in images)
