"""Presentation states: marks at the findings, over the image in its own grey scale."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from tests.unit.results.analysed import Analysed, analysed_exam, encoded, finding
from tests.unit.results.presented import drawn, presentation_states

EVERYWHERE = tuple((kind, laterality) for kind in FindingKind for laterality in Laterality)


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


@pytest.fixture(scope="module")
def state(exam: Analysed) -> Dataset:
    return presentation_states(exam)[0]


def test_each_view_with_findings_has_a_presentation_state_in_a_series_of_its_own(exam: Analysed) -> None:
    states = presentation_states(exam)
    referenced = [item.ReferencedSeriesSequence[0].ReferencedImageSequence[0] for item in states]
    views = [exam.image(view).sop_instance_uid for view in ("L CC", "L MLO")]
    assert [item.ReferencedSOPInstanceUID for item in referenced] == views
    assert len({item.SeriesInstanceUID for item in states} | {item.SeriesNumber for item in states}) == 4


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_an_outline_encloses_its_finding_in_every_view(photometric_interpretation: str) -> None:
    exam = analysed_exam(65, 49, lesions=EVERYWHERE, photometric_interpretation=photometric_interpretation)
    states = presentation_states(exam)
    assert {state.SeriesDescription.split()[2] + state.SeriesDescription.split()[3] for state in states} == {
        "RCC",
        "LCC",
        "RMLO",
        "LMLO",
    }
    for state, image in zip(states, exam.findings.images, strict=True):
        for annotation, found in zip(state.GraphicAnnotationSequence, image.findings, strict=False):
            inside, truth = drawn(annotation, image.shape), found.full_mask(image.shape)
            assert not (truth & ~inside).any()
            assert np.count_nonzero(inside & ~truth) <= 0.05 * found.pixel_count


def test_graphics_count_from_zero_at_the_corner_and_the_displayed_area_from_one(exam: Analysed) -> None:
    image = exam.image("L CC")
    corner = replace(image, findings=(finding([[1]], origin=(0, 0)),))
    (state,) = presentation_states(exam.with_images(corner).only("L CC"))
    graphic = state.GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    assert (min(graphic.GraphicData), max(graphic.GraphicData)) == (
        pytest.approx(0, abs=0.2),
        pytest.approx(1, abs=0.2),
    )
    (area,) = state.DisplayedAreaSelectionSequence
    assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
    assert area.DisplayedAreaBottomRightHandCorner == [image.shape[1], image.shape[0]]
    assert area.PresentationSizeMode == "SCALE TO FIT"


def test_outlines_are_closed(state: Dataset) -> None:
    for annotation in state.GraphicAnnotationSequence[:2]:
        (graphic,) = annotation.GraphicObjectSequence
        assert (graphic.GraphicType, graphic.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        assert graphic.GraphicData[:2] == graphic.GraphicData[-2:]
        assert graphic.NumberOfGraphicPoints * 2 == len(graphic.GraphicData)


def test_an_outline_with_more_points_than_a_value_holds_is_thinned_and_stays_closed(exam: Analysed) -> None:
    comb = np.zeros((30, 12000), dtype=bool)
    comb[-1], comb[:, ::2] = True, True
    ragged = replace(exam.image("L CC"), shape=(40, 12000), findings=(finding(comb.tolist()),))
    (state,) = presentation_states(exam.with_images(ragged).only("L CC"))
    data = state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData
    assert 4000 < len(data) <= 65534 // 4
    assert data[:2] == data[-2:]


def test_each_finding_is_a_layer_with_its_score_and_research_use(exam: Analysed, state: Dataset) -> None:
    layers = [layer.GraphicLayer for layer in state.GraphicLayerSequence]
    assert layers == ["MALIGNANT 1", "BENIGN 1", "RESEARCH USE"]
    assert [annotation.GraphicLayer for annotation in state.GraphicAnnotationSequence] == layers
    text = state.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert f"L CC malignant 1: score {100 * exam.image('L CC').findings[0].score:.0f} %" in text
    assert "research use, not for diagnosis, UNTRAINED" in text


@pytest.mark.parametrize("column", [0, 90])
def test_text_lies_inside_the_image(exam: Analysed, column: int) -> None:
    found = finding([[1] * 6] * 6, origin=(122, column))
    image = replace(exam.image("L CC"), findings=(found,))
    (state,) = presentation_states(exam.with_images(image).only("L CC"))
    rows, columns = image.shape
    for annotation in state.GraphicAnnotationSequence:
        (text,) = annotation.TextObjectSequence
        left, top = text.BoundingBoxTopLeftHandCorner
        right, bottom = text.BoundingBoxBottomRightHandCorner
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_monochrome1_is_the_presentation_lut_shape_inverse(photometric: str, shape: str) -> None:
    states = presentation_states(analysed_exam(64, 48, photometric_interpretation=photometric))
    assert {state.PresentationLUTShape for state in states} == {shape}


def lut(values: Any, first: int = 0) -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 2**16, first, 12])
    table.add_new("LUTData", "US", values)
    return table


def test_the_presentation_state_has_the_first_window_of_the_image(exam: Analysed) -> None:
    windowed = analysed_exam().with_source_elements(
        WindowCenter=[2000, 900], WindowWidth=[3000, 100], VOILUTFunction="SIGMOID"
    )
    (voi,) = presentation_states(windowed)[0].SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == (2000, 3000, "SIGMOID")


def test_no_window_is_added_for_an_image_without_one() -> None:
    plain = analysed_exam().with_source_elements(WindowCenter=None, WindowWidth=None, VOILUTSequence=None)
    assert "SoftcopyVOILUTSequence" not in presentation_states(plain)[0]


@pytest.mark.parametrize("first", [0, -5])
def test_a_voi_lut_is_copied_before_any_window(first: int) -> None:
    exam = analysed_exam().with_source_elements(VOILUTSequence=[lut([0, 7, 4095], first), lut([1, 2])])
    (table,) = presentation_states(exam)[0].SoftcopyVOILUTSequence[0].VOILUTSequence
    assert list(table.LUTDescriptor) == [3, first, 16]
    assert np.frombuffer(table.LUTData, "<u2")[:3].tolist() == [0, 112, 65535]


def test_entries_of_a_voi_lut_that_are_packed_are_unpacked() -> None:
    packed = lut([0])
    packed.LUTDescriptor = [4, 0, 8]
    packed.add_new("LUTData", "OW", bytes([0, 1, 128, 255]))
    state = presentation_states(analysed_exam().with_source_elements(VOILUTSequence=[packed]))[0]
    (table,) = state.SoftcopyVOILUTSequence[0].VOILUTSequence
    assert np.frombuffer(table.LUTData, "<u2").tolist() == [0, 257, 128 * 257, 65535]


def test_a_modality_lut_or_rescale_is_copied() -> None:
    rescaled = analysed_exam().with_source_elements(RescaleSlope=2, RescaleIntercept=-5, RescaleType="US")
    state = presentation_states(rescaled)[0]
    assert (state.RescaleSlope, state.RescaleIntercept, state.RescaleType) == (2, -5, "US")
    table = analysed_exam().with_source_elements(ModalityLUTSequence=[lut([0, 1, 2])])
    assert presentation_states(table)[0].ModalityLUTSequence[0].ModalityLUTType == "US"


def test_pixels_that_are_not_square_keep_their_aspect() -> None:
    exam = analysed_exam().with_source_elements(ImagerPixelSpacing=[0.1, 0.05])
    area = presentation_states(exam)[0].DisplayedAreaSelectionSequence[0]
    vertical, horizontal = area.PresentationPixelAspectRatio
    assert vertical == 2 * horizontal


def test_the_same_input_gives_the_same_bytes(exam: Analysed) -> None:
    first, second = presentation_states(exam), presentation_states(exam)
    assert [encoded(state) for state in first] == [encoded(state) for state in second]
