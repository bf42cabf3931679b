"""Segmentations: the masks of the findings, on the rows and columns of the source."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from glam_node.inference.findings import Finding, FindingKind, ImageFindings
from glam_node.node.results.overlay import stored_segments
from glam_node.node.results.placement import UNKNOWN_SPACING_COMMENT
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP
from glam_node.result_kinds import SOP_CLASSES
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, encoded, failed, finding


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def test_only_views_with_findings_have_a_segmentation(exam: Analysed) -> None:
    sources = [result.SourceImageSequence[0].ReferencedSOPInstanceUID for result in exam.segmentations()]
    assert sources == [exam.image(view).sop_instance_uid for view in ("L CC", "L MLO")]


def test_an_image_that_could_not_be_analysed_has_no_segmentation(exam: Analysed) -> None:
    broken = exam.with_images(failed(exam.image("L CC"), "Black."))
    assert len(broken.segmentations()) == 1


def test_each_object_is_a_series_of_its_own_in_the_study_of_its_source(exam: Analysed) -> None:
    results = exam.segmentations()
    assert len({result.SeriesInstanceUID for result in results}) == len(results)
    assert {result.StudyInstanceUID for result in results} == {exam.findings.study_instance_uid}


def test_a_segment_is_a_finding_pixel_by_pixel(exam: Analysed) -> None:
    image = exam.image("L MLO")
    segments = list(stored_segments(image.sop_instance_uid, exam.segmentations()))
    for segment, found in zip(segments, image.findings, strict=True):
        assert (segment.mask == found.full_mask(image.shape)).all()


@pytest.mark.parametrize(("rows", "columns"), [(63, 47), (129, 97), (65, 50)])
def test_each_finding_has_an_object_if_frames_do_not_fill_bytes(rows: int, columns: int) -> None:
    exam = analysed_exam(rows, columns)
    results = exam.segmentations()
    assert [result.NumberOfFrames for result in results] == [1] * sum(len(i.findings) for i in exam.findings.images)
    assert len({result.SOPInstanceUID for result in results}) == len(results)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_mask_survives_at_any_place(exam: Analysed, data: st.DataObject) -> None:
    image = exam.image("L CC")
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    row, column = data.draw(st.integers(0, 128 - height)), data.draw(st.integers(0, 96 - width))
    mask = np.random.default_rng(data.draw(st.integers(0, 9))).random((height, width)) > 0.5
    mask[0, 0] = True
    placed = Finding(FindingKind.BENIGN, 0.5, (row, column), mask)
    written = exam.with_images(replace(image, findings=(placed,))).segmentations()
    (segment,) = stored_segments(image.sop_instance_uid, written)
    assert (segment.mask == placed.full_mask(image.shape)).all()


def test_findings_may_overlap(exam: Analysed) -> None:
    image = exam.image("L CC")
    both = (finding([[1, 1]], FindingKind.BENIGN), finding([[1, 1]], FindingKind.MALIGNANT))
    written = exam.with_images(replace(image, findings=both)).segmentations()
    segments = list(stored_segments(image.sop_instance_uid, written))
    assert [int(segment.mask.sum()) for segment in segments] == [2, 2]


def test_a_fractional_segment_has_the_saliency_inside_the_finding(exam: Analysed) -> None:
    image = exam.image("L MLO")
    assert image.saliency is not None
    written = [one for one in exam.segmentations(segmentation_type=FRACTIONAL) if is_of(one, image)]
    for result, found in zip(written, image.findings, strict=True):
        expected = image.saliency.on_image(found.kind, image.shape) * found.full_mask(image.shape)
        assert (result.SegmentationFractionalType, result.MaximumFractionalValue) == ("PROBABILITY", 255)
        assert np.array_equal(result.pixel_array, expected)
        assert result.pixel_array.max() == round(255 * found.score)


def is_of(result: Dataset, image: ImageFindings) -> bool:
    return bool(result.SourceImageSequence[0].ReferencedSOPInstanceUID == image.sop_instance_uid)


def test_a_label_map_has_the_number_of_each_finding_and_malignant_over_benign(exam: Analysed) -> None:
    image = exam.image("L CC")
    both = (finding([[1, 1]], FindingKind.BENIGN), finding([[0, 1]], FindingKind.MALIGNANT))
    (written,) = exam.with_images(replace(image, findings=both)).only("L CC").segmentations(segmentation_type=LABELMAP)
    assert written.SOPClassUID == SOP_CLASSES["labelmap_segmentation"]
    assert written.pixel_array[0, :3].tolist() == [1, 2, 0]
    assert np.count_nonzero(written.pixel_array) == 2


def test_the_same_finding_has_the_same_tracking_uid_in_every_type(exam: Analysed) -> None:
    tracked = [
        {
            segment.TrackingUID
            for result in exam.segmentations(segmentation_type=kind)
            for segment in result.SegmentSequence
            if "TrackingUID" in segment
        }
        for kind in (BINARY, FRACTIONAL, LABELMAP)
    ]
    assert tracked[0] == tracked[1] == tracked[2]


def test_segments_are_coloured_by_class(exam: Analysed) -> None:
    segments = list(stored_segments(exam.image("L CC").sop_instance_uid, exam.segmentations()))
    (red, green, _), label = segments[0].colour, segments[0].label
    assert "malignant" in label
    assert red > green
    assert segments[1].colour[1] > segments[1].colour[0]


def test_the_anatomic_region_keeps_the_laterality(exam: Analysed) -> None:
    segment = exam.segmentations()[0].SegmentSequence[0]
    assert segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"


def test_geometry_lies_over_the_source_without_a_frame_of_reference(exam: Analysed) -> None:
    result, source = exam.segmentations()[0], exam.source("L CC")
    measures = result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == source.ImagerPixelSpacing
    assert result.PatientOrientation == source.PatientOrientation
    assert (result.Rows, result.Columns) == (source.Rows, source.Columns)
    assert "FrameOfReferenceUID" not in result


def test_a_segmentation_says_that_its_pixel_spacing_is_unknown() -> None:
    result = analysed_exam().with_source_elements(ImagerPixelSpacing=None).segmentations()[0]
    measures = result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == [1, 1]
    assert result.ImageComments == UNKNOWN_SPACING_COMMENT


def test_a_segmentation_of_an_image_with_spacing_has_no_such_comment(exam: Analysed) -> None:
    assert "ImageComments" not in exam.segmentations()[0]


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({"EstimatedRadiographicMagnificationFactor": "1.25"}, 0.08),
        ({"EstimatedRadiographicMagnificationFactor": ""}, 0.1),
        ({"EstimatedRadiographicMagnificationFactor": "0"}, 0.1),
        ({"PixelSpacing": [0.09, 0.09]}, 0.09),
        ({"PixelSpacing": [0, 0]}, 0.1),
        ({"EstimatedRadiographicMagnificationFactor": "1e-320"}, 1.0),
        (
            {
                "EstimatedRadiographicMagnificationFactor": None,
                "DistanceSourceToDetector": "660",
                "DistanceSourceToPatient": "600",
            },
            0.1 * 600 / 660,
        ),
    ],
)
def test_pixel_spacing_is_that_of_the_patient_as_viewers_compute_it(elements: dict[str, Any], spacing: float) -> None:
    exam = analysed_exam().with_source_elements(**{"ImagerPixelSpacing": [0.1, 0.1], **elements})
    measures = exam.segmentations()[0].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(value) for value in measures.PixelSpacing] == pytest.approx([spacing, spacing])


SAGITTAL = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
UNKNOWN_PLANE = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("stated", "written"),
    [
        (SAGITTAL, SAGITTAL),
        ([0.0, 0.99999, 0.0045, 0.0, 0.0045, -0.99999], [0.0, 0.99999, 0.0045, 0.0, 0.0045, -0.99999]),
        ([0.0] * 6, UNKNOWN_PLANE),
        ([1.0] * 6, UNKNOWN_PLANE),
        ([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], UNKNOWN_PLANE),
        ([1.0, 0.0, 0.0, 0.0, 2.0, 0.0], UNKNOWN_PLANE),
        (SAGITTAL[:3], UNKNOWN_PLANE),
    ],
)
def test_only_an_orientation_of_orthogonal_unit_vectors_is_copied(stated: list[float], written: list[float]) -> None:
    exam = analysed_exam().only("L CC").with_source_elements(ImageOrientationPatient=stated)
    orientation = exam.segmentations()[0].SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    assert [float(value) for value in orientation.ImageOrientationPatient] == written


@pytest.mark.parametrize(("rows", "columns"), [(128, 96), (127, 95)])
def test_every_frame_names_its_segment_and_its_position_as_dimensions(rows: int, columns: int) -> None:
    for result in analysed_exam(rows, columns).segmentations():
        pointers = [item.DimensionIndexPointer for item in result.DimensionIndexSequence]
        assert pointers == [Tag("ReferencedSegmentNumber"), Tag("ImagePositionPatient")]
        for number, frame in enumerate(result.PerFrameFunctionalGroupsSequence, start=1):
            assert frame.FrameContentSequence[0].DimensionIndexValues == [number, 1]
            assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number


def test_objects_say_research_use_and_untrained(exam: Analysed) -> None:
    result = exam.segmentations()[0]
    assert result.ContentQualification == "RESEARCH"
    assert "research use UNTRAINED" in result.SeriesDescription
    assert "UNTRAINED" in result.ContributingEquipmentSequence[-2].ContributionDescription


def test_trained_weights_are_not_called_untrained(exam: Analysed) -> None:
    trained = replace(exam.findings, algorithm=replace(exam.findings.algorithm, trained=True))
    assert b"UNTRAINED" not in encoded(replace(exam, findings=trained).segmentations()[0])


def test_the_same_input_gives_the_same_bytes(exam: Analysed) -> None:
    first, second = exam.segmentations(), exam.segmentations()
    assert [encoded(result) for result in first] == [encoded(result) for result in second]


def test_no_pixel_data_of_the_source_is_needed(exam: Analysed) -> None:
    headers = analysed_exam().with_source_elements(PixelData=None)
    assert [encoded(result) for result in headers.segmentations()] == [encoded(r) for r in exam.segmentations()]


def test_the_uid_does_not_depend_on_the_creation_time(exam: Analysed) -> None:
    later = exam.segmentations(IDENTITY.at(IDENTITY.created_at.replace(year=2030)))  # type: ignore[union-attr]
    assert [result.SOPInstanceUID for result in later] == [result.SOPInstanceUID for result in exam.segmentations()]
