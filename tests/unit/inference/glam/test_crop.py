"""Tests of the crop: the location of the breast."""

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.crop import BreastCrop, breast_tissue, crop_breast, solid_breast


def image_with(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (800, 700)) -> NDArray[np.uint16]:
    """Return an image with half-open boxes (top, bottom, left, right) of value 1 on background."""
    image = np.zeros(shape, dtype=np.uint16)
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = 1
    return image


def opened_slowly(image: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return the union of all diamonds of radius 100 that fit into the foreground: the opening by definition."""
    step = np.abs(np.arange(-100, 101))
    diamond = step[:, None] + step[None, :] <= 100
    foreground = np.pad(image > 0, 100)
    opened = np.zeros_like(foreground)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            region = np.s_[row : row + 201, column : column + 201]
            if foreground[region][diamond].all():
                opened[region] |= diamond
    return opened[100:-100, 100:-100]


def test_the_solid_breast_is_the_opening_by_a_diamond_of_radius_100() -> None:
    image = image_with((0, 215, 0, 207), shape=(215, 220))
    image[3, 200:] = 0
    assert np.array_equal(solid_breast(image), opened_slowly(image))


@pytest.mark.parametrize("thickness", [1, 199, 200])
def test_a_breast_under_201_pixels_across_is_refused(thickness: int) -> None:
    with pytest.raises(UnsupportedMammogram, match="no breast"):
        solid_breast(image_with((100, 700, 0, thickness)))


def test_a_breast_of_201_pixels_across_is_accepted() -> None:
    assert solid_breast(image_with((100, 700, 0, 201))).any()


def test_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="too small"):
        solid_breast(image_with((0, 200, 0, 600), shape=(200, 600)))


def test_the_larger_of_two_regions_is_the_breast() -> None:
    solid = solid_breast(image_with((0, 250, 0, 250), (400, 800, 300, 650)))
    assert not solid[:300].any()
    assert solid[600, 500]


def test_the_upper_of_equal_regions_is_the_breast() -> None:
    solid = solid_breast(image_with((0, 300, 400, 700), (420, 720, 0, 300)))
    assert solid[150, 550]
    assert not solid[500].any()


def test_the_tissue_regains_the_corners_that_the_opening_cut_off_but_no_label() -> None:
    image = image_with((0, 600, 0, 400), (700, 740, 600, 690))
    solid = solid_breast(image)
    tissue = breast_tissue(image, solid)
    assert not solid[0, 0]
    assert np.array_equal(tissue, image_with((0, 600, 0, 400)) > 0)


def test_the_crop_has_a_margin_above_below_and_on_the_side_of_the_nipple() -> None:
    solid = image_with((200, 600, 30, 400)) > 0
    assert crop_breast(solid, points_right=True) == BreastCrop(
        150, 650, 30, 450, rightmost=((166, 449), 369), bottommost=(449, (0, 369)), distance_from_starting_side=30
    )


def test_points_of_a_breast_that_points_left_are_one_column_further_than_their_mirror_images() -> None:
    solid = image_with((200, 600, 300, 670)) > 0
    assert crop_breast(solid, points_right=False) == BreastCrop(
        150, 650, 250, 670, rightmost=((166, 449), 370), bottommost=(449, (1, 370)), distance_from_starting_side=30
    )


def test_the_margin_ends_at_the_edge_of_the_image() -> None:
    crop = crop_breast(image_with((20, 790, 0, 680)) > 0, points_right=True)
    assert (crop.top, crop.bottom, crop.left, crop.right) == (0, 800, 0, 700)
