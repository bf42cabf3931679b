"""Tests that the predictor refuses images that its guard refuses, and passes on the guard's remarks."""

from dataclasses import replace

import pytest

from glam_node.inference.card import ModelCard
from glam_node.inference.findings import ImageFindings
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.inference.glam.views import half_ellipse, posed, view_of

BREAST = half_ellipse((900, 600), 800, 500)
CARD = ModelCard(vendors=("Hologic",), pixel_spacing_mm=(0.06, 0.08))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> GlamPredictor:
    """Return a tiny network with a card."""
    return GlamPredictor.from_package(tiny_package(tmp_path_factory.mktemp("package"), card=CARD), "cpu")


def plain() -> Mammogram:
    return replace(view_of(BREAST), imager_pixel_spacing=(0.07, 0.07), manufacturer="HOLOGIC, Inc.")


def seen(predictor: GlamPredictor, mammogram: Mammogram) -> ImageFindings:
    (image,) = predictor.segment([mammogram])
    return image


def test_an_image_like_those_of_the_card_is_scored_without_remark(predictor: GlamPredictor) -> None:
    image = seen(predictor, plain())
    assert image.failure is None
    assert image.malignant_score is not None
    assert image.remarks == ()


def test_an_image_of_another_spacing_and_vendor_is_scored_with_remarks(
    predictor: GlamPredictor,
) -> None:
    other = replace(plain(), imager_pixel_spacing=(0.1, 0.1), manufacturer="GE", remarks=("A partial view.",))
    image = seen(predictor, other)
    assert image.failure is None
    assert any("trained with 0.06 to 0.08 mm" in remark for remark in image.remarks)
    assert any("images of GE" in remark for remark in image.remarks)
    assert "A partial view." in image.remarks


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (replace(plain(), imager_pixel_spacing=(0.5, 0.5)), "pixel spacing"),
        (replace(plain(), bits_stored=6), "6 bits stored"),
        (replace(plain(), image_laterality=Laterality.RIGHT), "laterality"),
        (replace(plain(), pixels=posed(BREAST, points_right=False)), "mirrored"),
        (replace(plain(), patient_orientation=("P", "L")), "other breast"),
        (replace(plain(), pixels=BREAST + 1), "corner|background"),
    ],
)
def test_an_image_that_the_guard_refuses_gets_no_score_and_harms_no_other(
    predictor: GlamPredictor, wrong: Mammogram, reason: str
) -> None:
    refused, good = predictor.segment([wrong, plain()])
    assert refused.failure is not None
    assert any(word in refused.failure for word in reason.split("|"))
    assert (refused.malignant_score, refused.benign_score, refused.findings) == (None, None, ())
    assert good.failure is None


def test_a_result_has_a_remark_on_tissue_outside_the_window(predictor: GlamPredictor) -> None:
    tall = half_ellipse((4000, 600), 3900, 500)
    image = seen(predictor, replace(view_of(tall, view=ViewPosition.CC), imager_pixel_spacing=(0.07, 0.07)))
    assert any("of the breast lies outside the 2944 x 1920 pixels" in remark for remark in image.remarks)
