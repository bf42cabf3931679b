"""Tests of the facts that headers state about a view, in every code that vendors use."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from glam_node.inference.header_facts import describe_view
from glam_node.kinds.codes import NAME_OF_MODIFIER, NAME_OF_VIEW


def code(value: str, scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


def header(view_code: str = "399162004", scheme: str = "SCT", modifiers: tuple[str, ...] = ()) -> Dataset:
    dataset = Dataset()
    dataset.Modality, dataset.ImageLaterality = "MG", "R"
    dataset.ViewCodeSequence = [code(view_code, scheme)]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = [code(modifier, scheme) for modifier in modifiers]
    return dataset


@pytest.mark.parametrize(
    ("value", "scheme", "view_position"),
    [
        ("399162004", "SCT", "CC"),
        ("R-10242", "SRT", "CC"),
        ("R-10242", "SNM3", "CC"),
        ("399368009", "SCT", "MLO"),
        ("R-10226", "SNM3", "MLO"),
        ("R-1024A", "SRT", "XCCL"),
        ("Y-X1770", "SNM3", "XCCL"),
        ("R-10224", "SRT", "ML"),
    ],
)
def test_a_view_is_recognised_in_every_coding_scheme_in_use(value: str, scheme: str, view_position: str) -> None:
    assert describe_view(header(value, scheme)).view_position == view_position


def test_every_view_code_of_the_standard_is_known() -> None:
    assert {getattr(codes.cid4014, name).value for name in codes.cid4014.dir()} <= set(NAME_OF_VIEW)


def test_every_view_modifier_code_of_the_standard_is_known() -> None:
    assert {getattr(codes.cid4015, name).value for name in codes.cid4015.dir()} <= set(NAME_OF_MODIFIER)


def test_view_position_is_the_fallback_for_the_view_code() -> None:
    dataset = header()
    del dataset.ViewCodeSequence
    dataset.ViewPosition = "MLO"
    assert describe_view(dataset).view_position == "MLO"


def test_view_position_replaces_an_unknown_view_code() -> None:
    dataset = header("X1", "99LOCAL")
    dataset.ViewPosition = "CC"
    assert describe_view(dataset).view_position == "CC"


def test_view_modifiers_have_short_names() -> None:
    description = describe_view(header(scheme="SRT", modifiers=("R-102D7", "R-102D6")))
    assert description.view_modifiers == ("magnification", "spot_compression")


def test_a_modifier_outside_the_view_code_counts_too() -> None:
    dataset = header()
    dataset.ViewModifierCodeSequence = [code("399209000")]
    assert describe_view(dataset).view_modifiers == ("implant_displaced",)


def test_an_unknown_modifier_is_named_by_its_code() -> None:
    assert describe_view(header(scheme="99X", modifiers=("7",))).view_modifiers == ("99X:7",)


def test_a_magnification_factor_is_a_magnification_view() -> None:
    dataset = header()
    dataset.EstimatedRadiographicMagnificationFactor = "1.8"
    assert describe_view(dataset).view_modifiers == ("magnification",)


@pytest.mark.parametrize("word", ["STEREO", "STEREO_SCOUT", "PREFIRE_MINUS", "POSTBIOPSY", "POSTMARKER_PLUS"])
def test_an_image_of_a_biopsy_is_stereotactic(word: str) -> None:
    dataset = header()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", word]
    assert describe_view(dataset).stereotactic


def test_a_screening_view_is_not_stereotactic() -> None:
    dataset = header()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    assert not describe_view(dataset).stereotactic


def test_an_image_of_a_tissue_specimen_is_recognised() -> None:
    assert describe_view(header("G-8310", "SRT")).specimen


@pytest.mark.parametrize(
    ("sop_class_uid", "presentation_intent_type"),
    [
        (DigitalMammographyXRayImageStorageForPresentation, "FOR PRESENTATION"),
        (DigitalMammographyXRayImageStorageForProcessing, "FOR PROCESSING"),
    ],
)
def test_the_sop_class_states_the_intent_when_the_element_is_missing(
    sop_class_uid: str, presentation_intent_type: str
) -> None:
    dataset = header()
    dataset.SOPClassUID = sop_class_uid
    assert describe_view(dataset).presentation_intent_type == presentation_intent_type


def test_two_lateralities_that_differ_are_a_contradiction() -> None:
    dataset = header()
    dataset.Laterality = "L"
    assert describe_view(dataset).contradiction == "Image Laterality says R but Laterality says L"


def test_frame_laterality_counts_among_the_lateralities() -> None:
    dataset, group, anatomy = header(), Dataset(), Dataset()
    anatomy.FrameLaterality = "L"
    group.FrameAnatomySequence = [anatomy]
    dataset.SharedFunctionalGroupsSequence = [group]
    assert "Frame Laterality says L" in describe_view(dataset).contradiction


def test_a_view_code_and_a_view_position_that_differ_are_a_contradiction() -> None:
    dataset = header()
    dataset.ViewPosition = "MLO"
    assert describe_view(dataset).contradiction == "View Code Sequence says CC but View Position says MLO"


def test_a_class_for_processing_that_claims_presentation_is_a_contradiction() -> None:
    dataset = header()
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    dataset.PresentationIntentType = "FOR PRESENTATION"
    assert "FOR PROCESSING" in describe_view(dataset).contradiction


def test_agreeing_elements_are_not_a_contradiction() -> None:
    dataset = header()
    dataset.Laterality, dataset.ViewPosition = "R", "CC"
    assert describe_view(dataset).contradiction == ""


def test_laterality_is_the_fallback_for_image_laterality() -> None:
    dataset = header()
    del dataset.ImageLaterality
    dataset.Laterality = "L"
    assert describe_view(dataset).image_laterality == "L"


def test_an_empty_data_set_describes_nothing_and_raises_nothing() -> None:
    description = describe_view(Dataset())
    assert (description.image_laterality, description.view_position, description.rows) == ("", "", 0)


def test_a_value_that_cannot_be_converted_is_left_out() -> None:
    dataset = header()
    dataset.Rows = 10
    dataset["Rows"]._value = "many"
    assert describe_view(dataset).rows == 0
