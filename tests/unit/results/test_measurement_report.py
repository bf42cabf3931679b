"""The measurement report: every image with its scores and findings, or the reason why there are none."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.node.results import codes
from glam_node.node.results.outline import long_axis_mm, outline
from tests.unit.results.analysed import Analysed, analysed_exam, encoded, failed


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


@pytest.fixture(scope="module")
def report(exam: Analysed) -> Dataset:
    return exam.report()


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def groups(report: Dataset) -> dict[str, Dataset]:
    """Return the measurement group of each tracking identifier."""
    (measurements,) = [item for item in report.ContentSequence if name(item) == "126010"]
    return {str(group.ContentSequence[0].TextValue): group for group in measurements.ContentSequence}


def values(group: Dataset) -> dict[str, float]:
    """Return the numeric value of each concept name."""
    return {
        name(item): float(item.MeasuredValueSequence[0].NumericValue)
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }


def comments(group: Dataset) -> str:
    return " ".join(item.TextValue for item in group.ContentSequence if name(item) == codes.COMMENT.value)


def outcome(group: Dataset) -> str:
    (item,) = [i for i in group.ContentSequence if name(i) == codes.PROCESSING_AND_FINDINGS_SUMMARY.value]
    return str(item.ConceptCodeSequence[0].CodeValue)


def all_items(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", []):
        yield from all_items(child)


def test_the_study_each_breast_each_image_and_each_finding_has_a_group(report: Dataset) -> None:
    assert list(groups(report)) == [
        "Study",
        "Right breast",
        "Left breast",
        "R CC",
        "L CC",
        "L CC malignant 1",
        "L CC benign 1",
        "R MLO",
        "L MLO",
        "L MLO malignant 1",
        "L MLO benign 1",
    ]


def test_an_image_has_both_scores_in_percent(exam: Analysed, report: Dataset) -> None:
    image = exam.image("L CC")
    assert image.benign_score is not None
    assert image.malignant_score is not None
    assert values(groups(report)["L CC"]) == {
        "GLAM-BENIGN": pytest.approx(100 * image.benign_score, abs=1e-3),
        "GLAM-MALIGNANT": pytest.approx(100 * image.malignant_score, abs=1e-3),
    }


def test_a_breast_has_the_mean_of_its_views_and_the_study_the_larger_breast(report: Dataset) -> None:
    found = {key: values(group)["GLAM-MALIGNANT"] for key, group in groups(report).items() if "benign" not in key}
    assert found["Left breast"] == pytest.approx((found["L CC"] + found["L MLO"]) / 2, abs=1e-3)
    assert found["Study"] == max(found["Left breast"], found["Right breast"])


def test_a_finding_has_outline_score_sizes_and_the_names_of_its_segment(exam: Analysed, report: Dataset) -> None:
    group = groups(report)["L CC malignant 1"]
    segment = exam.segmentations()[0].SegmentSequence[0]
    found = exam.image("L CC").findings[0]
    assert (group.ContentSequence[0].TextValue, group.ContentSequence[1].UID) == (
        segment.TrackingID,
        segment.TrackingUID,
    )
    assert values(group) == {
        "GLAM-MALIGNANT": pytest.approx(100 * found.score, abs=1e-3),
        codes.AREA.value: pytest.approx(found.pixel_count * 1.82**2, abs=0.01),
        codes.LONG_AXIS.value: pytest.approx(long_axis_mm(outline(found), (1.82, 1.82)), abs=0.01),
    }
    (view,) = [item for item in group.ContentSequence if name(item) == codes.VIEW.value]
    assert view.ConceptCodeSequence[0].CodeValue == "399162004"
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    assert region.GraphicType == "POLYLINE"
    reference = region.ContentSequence[0].ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == exam.image("L CC").sop_instance_uid


def test_findings_have_no_size_if_the_spacing_is_unknown() -> None:
    report = analysed_exam().with_source_elements(ImagerPixelSpacing=None).report()
    assert set(values(groups(report)["L CC malignant 1"])) == {"GLAM-MALIGNANT"}


def test_an_image_without_findings_says_so(report: Dataset) -> None:
    group = groups(report)["R CC"]
    assert comments(group) == "No findings in this image."
    assert outcome(group) == codes.SUCCEEDED_WITHOUT_FINDINGS.value


def test_an_image_that_could_not_be_analysed_says_why(exam: Analysed) -> None:
    report = exam.with_images(failed(exam.image("R CC"), "The breast fills nothing.")).report()
    group = groups(report)["R CC"]
    assert comments(group) == "This image could not be analysed: The breast fills nothing."
    assert outcome(group) == codes.FAILED_WITHOUT_FINDINGS.value
    assert values(group) == {}


def test_a_failed_image_leaves_its_breast_with_the_other_view(exam: Analysed) -> None:
    report = exam.with_images(failed(exam.image("L CC"), "Black.")).report()
    assert values(groups(report)["Left breast"]) == values(groups(report)["L MLO"])
    assert outcome(groups(report)["Study"]) == codes.PARTLY_SUCCEEDED_WITH_FINDINGS.value


def test_a_study_of_which_nothing_could_be_analysed_is_reported(exam: Analysed) -> None:
    report = exam.with_images(*[failed(image, "Black.") for image in exam.findings.images]).report()
    assert outcome(groups(report)["Study"]) == codes.FAILED_WITHOUT_FINDINGS.value
    assert values(groups(report)["Study"]) == {}


def test_remarks_on_an_image_are_in_its_comments(exam: Analysed) -> None:
    image = replace(exam.image("R CC"), remarks=("Tissue may be cut off.",))
    assert "Tissue may be cut off." in comments(groups(exam.with_images(image).report())["R CC"])


def test_a_single_view_is_reported() -> None:
    assert "Right breast" not in groups(analysed_exam().only("L CC").report())


def test_every_score_names_the_algorithm_its_version_and_its_weights(exam: Analysed, report: Dataset) -> None:
    algorithm = exam.findings.algorithm
    scores = [item for item in all_items(report) if item.ValueType == "NUM" and name(item).startswith("GLAM-")]
    assert len(scores) == 2 * 7 + 4
    for score in scores:
        texts = {item.TextValue for item in score.ContentSequence if item.ValueType == "TEXT"}
        assert {algorithm.algorithm_name, algorithm.algorithm_version} < texts
        assert f"weights SHA-256 = {algorithm.weights_sha256}" in texts


def test_the_thresholds_are_stated(report: Dataset) -> None:
    texts = {item.get("TextValue") for item in groups(report)["Study"].ContentSequence}
    assert "malignant.global_saliency_threshold = 0.67" in texts


def test_every_image_and_segmentation_is_evidence(exam: Analysed, report: Dataset) -> None:
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert listed == {*exam.sources, *(str(result.SOPInstanceUID) for result in exam.segmentations())}


def test_the_report_says_research_use_and_untrained(report: Dataset) -> None:
    assert "research use UNTRAINED" in report.SeriesDescription
    assert "UNTRAINED" in comments(groups(report)["Study"])
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_trained_weights_are_not_called_untrained(exam: Analysed) -> None:
    trained = replace(exam.findings, algorithm=replace(exam.findings.algorithm, trained=True))
    assert b"UNTRAINED" not in encoded(replace(exam, findings=trained).report())


def test_the_same_input_gives_the_same_bytes(exam: Analysed) -> None:
    assert encoded(exam.report()) == encoded(exam.report())


def test_another_image_makes_another_report(exam: Analysed) -> None:
    assert exam.only("L CC", "L MLO").report().SOPInstanceUID != exam.report().SOPInstanceUID


def test_a_report_with_other_evidence_is_another_report(exam: Analysed) -> None:
    assert exam.report_beside([]).SOPInstanceUID != exam.report().SOPInstanceUID


def test_each_class_has_its_own_name() -> None:
    assert set(codes.CERTAINTY) == set(FindingKind)
