"""The Mammography CAD SR: findings, their positions and images, and images that could not be analysed."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.inference.phantom import make_exam
from glam_node.node.results.tracking import tracked_findings
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, encoded, failed, finding
from tests.unit.results.cad_reader import (
    child,
    children,
    composites,
    everything,
    impression,
    library,
    marks,
    name,
    performed,
    summary,
    value,
)
from tests.unit.results.cad_reports import EVERYWHERE, cad_report, flipped

REQUIRED, OPTIONAL = "111150", "111151"


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


@pytest.fixture(scope="module")
def report(exam: Analysed) -> Dataset:
    return cad_report(exam)


def uids(exam: Analysed, *views: str) -> list[str]:
    return [exam.image(view).sop_instance_uid for view in views]


def enclosed(outline: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie inside."""
    polygon = outline.astype(np.float32).reshape(-1, 1, 2)
    inside = np.zeros(shape, dtype=np.bool_)
    for row, column in np.ndindex(shape):
        inside[row, column] = cv2.pointPolygonTest(polygon, (column + 0.5, row + 0.5), False) > 0
    return inside


def with_parameters(exam: Analysed, **parameters: str) -> Analysed:
    stated = tuple((key.replace("__", "."), text) for key, text in parameters.items())
    algorithm = replace(exam.findings.algorithm, parameters=stated)
    return replace(exam, findings=replace(exam.findings, algorithm=algorithm))


def test_the_library_describes_every_image(exam: Analysed, report: Dataset) -> None:
    said = [
        [value(child(entry, "111027")), value(child(entry, "111031")), child(entry, "111044").TextValue]
        for entry in library(report)
    ]
    right, left, cc, mlo = "73056007", "80248007", "399162004", "399368009"
    assert said == [[right, cc, "P"], [left, cc, "A"], [right, mlo, "P"], [left, mlo, "A"]]
    referred = [str(entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for entry in library(report)]
    assert referred == uids(exam, "R CC", "L CC", "R MLO", "L MLO")


def test_horizontal_spacing_is_that_of_columns_in_micrometers() -> None:
    report = cad_report(analysed_exam().with_source_elements(ImagerPixelSpacing=[0.07, 0.09]))
    spacings = [child(library(report)[0], code).MeasuredValueSequence[0] for code in ("111026", "111066")]
    assert [float(one.NumericValue) for one in spacings] == [90, 70]
    assert {one.MeasurementUnitsCodeSequence[0].CodeValue for one in spacings} == {"um"}


def test_the_report_has_every_finding_once_with_its_tracking_identifiers_and_score(
    exam: Analysed, report: Dataset
) -> None:
    expected = {
        str(segment.TrackingUID): str(segment.TrackingID)
        for segmentation in exam.segmentations()
        for segment in segmentation.SegmentSequence
    }
    assert sorted((mark.tracking_uid, mark.tracking_id) for mark in marks(report)) == sorted(expected.items())
    scores = sorted(100 * one.score for image in exam.findings.images for one in image.findings)
    assert sorted(mark.certainty for mark in marks(report)) == pytest.approx(scores, abs=1e-3)


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_marks_lie_on_the_lesions_that_were_drawn(photometric_interpretation: str) -> None:
    options: dict[str, Any] = {"rows": 129, "columns": 97, "photometric_interpretation": photometric_interpretation}
    found = marks(cad_report(analysed_exam(lesions=EVERYWHERE, **options)))
    drawn = {str(view.dataset.SOPInstanceUID): view for view in make_exam(3, lesions=EVERYWHERE, **options)}
    assert {mark.tracking_id[:5] for mark in found} == {"R CC ", "L CC ", "R MLO", "L MLO"}
    for mark in found:
        view = drawn[mark.sop_instance_uid]
        truth = view.benign_mask if "benign" in mark.tracking_id else view.malignant_mask
        column, row = np.floor(mark.center).astype(int)
        assert truth[row, column]
        side = {"L": "80248007", "R": "73056007"}[view.dataset.ImageLaterality]
        assert value(child(mark.image, "111027")) == side


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_outline_encloses_its_finding_and_little_else(mirrored: bool) -> None:
    exam = analysed_exam(65, 49, lesions=EVERYWHERE)
    exam = flipped(exam) if mirrored else exam
    found = {mark.tracking_uid: mark for mark in marks(cad_report(exam))}
    for image in exam.findings.images:
        for one in tracked_findings(image, exam.findings.algorithm, IDENTITY):
            truth = one.finding.full_mask(image.shape)
            inside = enclosed(found.pop(one.tracking_uid).outline, image.shape)
            assert not (truth & ~inside).any()
            assert np.count_nonzero(inside & ~truth) <= 0.05 * one.finding.pixel_count
    assert found == {}


def test_a_composite_is_one_lesion_in_both_views_of_a_breast() -> None:
    report = cad_report(analysed_exam(lesions=EVERYWHERE))
    assert [[mark.tracking_id for mark in pair] for pair in composites(report)] == [
        [f"{side} CC {kind} 1", f"{side} MLO {kind} 1"] for side in "RL" for kind in ("malignant", "benign")
    ]
    assert len(marks(report)) == 8


def test_composites_of_mirrored_images_are_the_same() -> None:
    exam = analysed_exam(lesions=EVERYWHERE)
    pairs = [
        [[mark.tracking_id for mark in pair] for pair in composites(cad_report(one))] for one in (exam, flipped(exam))
    ]
    assert pairs[0] == pairs[1] != []


def test_findings_at_another_depth_form_no_composite(exam: Analysed) -> None:
    mlo = exam.image("L MLO")
    deep = replace(mlo, findings=(finding([[1]], origin=(60, 95)), finding([[1]], FindingKind.BENIGN, (60, 95))))
    assert composites(cad_report(exam.with_images(deep))) == []


def test_findings_of_two_classes_form_no_composite(exam: Analysed) -> None:
    cc, mlo = exam.image("L CC"), exam.image("L MLO")
    benign, malignant = (replace(cc.findings[0], kind=kind) for kind in FindingKind)
    changed = exam.with_images(replace(cc, findings=(benign,)), replace(mlo, findings=(malignant,)))
    assert composites(cad_report(changed)) == []


@pytest.mark.parametrize("keyword", ["ImagerPixelSpacing", "PatientOrientation"])
def test_views_without_the_needed_attributes_are_not_compared(keyword: str) -> None:
    report = cad_report(analysed_exam().with_source_elements(**{keyword: None}))
    assert (composites(report), value(child(report, "111065"))) == ([], "111225")
    assert len(marks(report)) == 4


def test_presentation_is_required_at_the_operating_point_and_optional_below(exam: Analysed) -> None:
    scores = {kind: exam.image("L CC").findings[place].score for place, kind in ((1, "benign"), (0, "malignant"))}
    stated = with_parameters(
        exam.only("L CC"),
        malignant__image_score_threshold=f"{scores['malignant']:g}",
        benign__image_score_threshold="0.999",
    )
    intents = {mark.tracking_id: mark.required for mark in marks(cad_report(stated))}
    assert intents == {"L CC malignant 1": True, "L CC benign 1": False}


def test_presentation_is_optional_without_a_deciding_operating_point(exam: Analysed) -> None:
    every = with_parameters(exam, malignant__image_score_threshold="0", benign__image_score_threshold="0")
    report = cad_report(every)
    assert {value(item) for item in everything(report) if name(item) == "111056"} == {OPTIONAL}


def test_presentation_of_a_composite_is_required_if_one_finding_requires_it(exam: Analysed) -> None:
    low = replace(exam.image("L MLO"), malignant_score=0.2, findings=exam.image("L MLO").findings[:1])
    one_kind = replace(exam.image("L CC"), findings=exam.image("L CC").findings[:1])
    stated = with_parameters(exam.with_images(low, one_kind), malignant__image_score_threshold="0.5")
    report = cad_report(stated)
    intents = [value(item) for item in everything(report) if name(item) == "111056"]
    assert intents == [REQUIRED, REQUIRED, REQUIRED, OPTIONAL]


def test_every_finding_names_its_algorithm(exam: Analysed, report: Dataset) -> None:
    algorithm = exam.findings.algorithm
    for mark in marks(report):
        assert mark.algorithm[:2] == [algorithm.algorithm_name, algorithm.algorithm_version]
        assert f"weights SHA-256 = {algorithm.weights_sha256}" in mark.algorithm
        assert f"class = {mark.tracking_id.split()[2]}" in mark.algorithm


def test_the_summary_of_detections_states_the_thresholds(report: Dataset) -> None:
    (detection,) = children(child(child(report, "111064"), "111063"))
    assert "malignant.global_saliency_threshold = 0.67" in [item.get("TextValue") for item in children(detection)]


def test_all_images_succeed(exam: Analysed, report: Dataset) -> None:
    assert [value(child(report, code)) for code in ("111017", "111064", "111065")] == ["111242", "111222", "111222"]
    assert performed(report, "111064", "111063") == uids(exam, "R CC", "L CC", "R MLO", "L MLO")
    assert performed(report, "111065", "111062") == uids(exam, "R CC", "L CC", "R MLO", "L MLO")


def test_a_study_without_findings_says_so() -> None:
    report = cad_report(analysed_exam(64, 48, lesions=()))
    assert value(summary(report)) == "111241"
    assert (marks(report), children(summary(report), "111034")) == ([], [])
    assert "R CC: no findings; scores: benign 0.0 %, malignant 0.0 %." in impression(report)


def test_an_image_that_could_not_be_analysed_says_why_and_is_among_the_failed(exam: Analysed) -> None:
    report = cad_report(exam.with_images(failed(exam.image("R CC"), "The breast fills nothing.")))
    assert "R CC: could not be analysed: The breast fills nothing." in impression(report)
    assert [value(child(report, code)) for code in ("111017", "111064", "111065")] == ["111244", "111223", "111223"]
    assert performed(report, "111064", "111025") == uids(exam, "R CC")
    assert performed(report, "111065", "111062") == uids(exam, "L CC", "L MLO")
    assert performed(report, "111065", "111024") == uids(exam, "R CC", "R MLO")


def test_a_study_of_which_nothing_could_be_analysed_is_reported(exam: Analysed) -> None:
    report = cad_report(exam.with_images(*[failed(image, "Black.") for image in exam.findings.images]))
    assert [value(child(report, code)) for code in ("111017", "111064", "111065")] == ["111245", "111224", "111225"]
    assert performed(report, "111064", "111025") == list(exam.sources)
    assert impression(report).count("could not be analysed: Black.") == 4


def test_a_single_view_is_not_compared(exam: Analysed) -> None:
    report = cad_report(exam.only("L CC"))
    assert value(child(report, "111065")) == "111225"
    assert [mark.tracking_id for mark in marks(report)] == ["L CC malignant 1", "L CC benign 1"]


def test_the_impression_contains_remarks_on_an_image(exam: Analysed) -> None:
    remarked = replace(exam.image("R CC"), remarks=("Tissue may be cut off.",))
    assert "Tissue may be cut off." in impression(cad_report(exam.with_images(remarked)))


def test_the_cad_report_says_research_use_and_untrained(report: Dataset) -> None:
    assert report.SeriesDescription == "GLAM-NODE CAD research use UNTRAINED"
    assert impression(report).startswith("For research use, not for diagnosis. UNTRAINED")
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_trained_weights_are_not_called_untrained(exam: Analysed) -> None:
    trained = replace(exam.findings, algorithm=replace(exam.findings.algorithm, trained=True))
    assert b"UNTRAINED" not in encoded(cad_report(replace(exam, findings=trained), []))


def test_every_image_and_segmentation_is_evidence(exam: Analysed, report: Dataset) -> None:
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = [
        str(item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert sorted(listed) == sorted([*exam.sources, *(str(one.SOPInstanceUID) for one in exam.segmentations())])


def test_the_same_input_gives_the_same_bytes_and_other_images_another_uid(exam: Analysed, report: Dataset) -> None:
    assert encoded(cad_report(exam)) == encoded(report)
    assert cad_report(exam.only("L CC")).SOPInstanceUID != report.SOPInstanceUID
    assert report.SOPInstanceUID != exam.report().SOPInstanceUID
