"""Tests that implausible images are refused with the reason, and unusual ones get a remark."""

from dataclasses import replace

import numpy as np
import pytest

from glam_node.inference.card import ModelCard
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.guard import check_breast, check_image
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition

Spacing = tuple[float, float] | None
SILENT = ModelCard()


def image(
    spacing: Spacing, shape: tuple[int, int] = (3328, 2560), *, bits_stored: int = 12, manufacturer: str = ""
) -> Mammogram:
    """Return a view of which only the header counts."""
    pixels = np.broadcast_to(np.uint16(0), shape)
    plain = Mammogram("2.25.1", Laterality.LEFT, ViewPosition.CC, pixels, spacing, None)
    return replace(plain, bits_stored=bits_stored, manufacturer=manufacturer)


@pytest.mark.parametrize(
    ("spacing", "shape", "bits_stored"),
    [
        (0.07, (3328, 2560), 12),
        (0.0652, (4096, 3328), 12),
        (0.094090909, (3062, 2394), 12),
        (0.085, (3518, 2800), 12),
        (0.05, (4740, 3540), 10),
        (0.042, (5491, 3046), 16),
        (0.0437, (5928, 4728), 12),
        (0.2, (1024, 1024), 8),
        (0.07, (2023, 801), 16),
    ],
)
def test_images_of_all_kinds_of_equipment_are_plausible(
    spacing: float, shape: tuple[int, int], bits_stored: int
) -> None:
    assert check_image(image((spacing, spacing), shape, bits_stored=bits_stored), SILENT) == ()


@pytest.mark.parametrize(
    ("spacing", "shape", "bits_stored", "reason"),
    [
        ((0.139, 0.139), (3056, 2544), 6, "6 bits stored"),
        ((0.3, 0.3), (800, 600), 12, r"0\.3 x 0\.3 mm; mammograms have 0\.04 to 0\.2 mm"),
        ((0.01, 0.01), (3328, 2560), 12, "pixel spacing"),
        ((0.07, 0.1), (3328, 2560), 12, "not square"),
        ((0.05, 0.05), (512, 512), 12, "a field of 26 x 26 mm"),
        ((0.2, 0.2), (3000, 2000), 12, "a field of 600 x 400 mm"),
    ],
)
def test_an_implausible_image_is_refused_with_the_reason(
    spacing: Spacing, shape: tuple[int, int], bits_stored: int, reason: str
) -> None:
    with pytest.raises(UnsupportedMammogram, match=reason):
        check_image(image(spacing, shape, bits_stored=bits_stored), SILENT)


def test_a_missing_pixel_spacing_gets_a_remark() -> None:
    (remark,) = check_image(image(None), SILENT)
    assert "its scale was not checked" in remark


def test_a_pixel_spacing_within_the_card_is_plausible() -> None:
    card = ModelCard(pixel_spacing_mm=(0.05, 0.5))
    assert check_image(image((0.3, 0.3), (776, 600)), card) == ()


def test_a_pixel_spacing_outside_the_training_range_gets_a_remark() -> None:
    (remark,) = check_image(image((0.1, 0.1), (2294, 1914)), ModelCard(pixel_spacing_mm=(0.06, 0.08)))
    assert remark == "The pixel spacing is 0.1 x 0.1 mm, the model was trained with 0.06 to 0.08 mm."


@pytest.mark.parametrize(
    ("manufacturer", "remarks"),
    [("HOLOGIC, Inc.", 0), ("Hologic", 0), ("", 0), ("GE MEDICAL SYSTEMS", 1)],
)
def test_a_vendor_outside_the_training_data_gets_a_remark(manufacturer: str, remarks: int) -> None:
    told = check_image(image((0.07, 0.07), manufacturer=manufacturer), ModelCard(vendors=("HOLOGIC, Inc.", "Lorad")))
    assert len(told) == remarks


def tissue(shape: tuple[int, int] = (400, 300)) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.random.default_rng(0).integers(500, 3000, shape).astype(np.uint16)


def test_a_breast_on_one_side_of_the_image_gives_no_remark() -> None:
    breast = np.zeros((400, 300), dtype=np.bool_)
    breast[20:380, :200] = True
    assert check_breast(tissue(), breast) == ()


def test_a_breast_that_reaches_both_sides_gets_a_remark() -> None:
    breast = np.zeros((400, 300), dtype=np.bool_)
    breast[:, :200], breast[100:300] = True, True
    (remark,) = check_breast(tissue(), breast)
    assert "along 100% and 50% of its height" in remark


def test_an_image_filled_with_breast_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="No background was found"):
        check_breast(tissue(), np.ones((400, 300), dtype=np.bool_))


@pytest.mark.parametrize("levels", [1, 2, 20])
def test_a_mask_or_a_drawing_is_refused(levels: int) -> None:
    breast = np.zeros((400, 300), dtype=np.bool_)
    breast[:, :200] = True
    with pytest.raises(UnsupportedMammogram, match=f"the breast has {levels} different values"):
        check_breast(tissue() % np.uint16(levels), breast)
