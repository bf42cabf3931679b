"""Tests that a certain background becomes black with a remark, and that an inverted image is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from glam_node.inference.background import blacken
from glam_node.inference.errors import UnsupportedMammogram
from tests.unit.inference.glam.views import half_ellipse, posed

Pixels = NDArray[np.uint16]
BREAST = half_ellipse((600, 400), 520, 300) * np.uint16(3)
BACKGROUND = BREAST == 0
FRAME = np.ones(BREAST.shape, dtype=np.bool_)
FRAME[20:-20, 12:-12] = False
LABELS = np.zeros(BREAST.shape, dtype=np.bool_)
LABELS[:40, -120:] = LABELS[-40:, -120:] = LABELS[:40, :60] = LABELS[-40:, :60] = True


def with_background(values: int | NDArray[np.int64]) -> Pixels:
    return np.where(BACKGROUND, values, BREAST).astype(np.uint16)


def noise(low: int, high: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(low, high, BREAST.shape)


def test_a_black_background_is_left_alone_without_remark() -> None:
    blackened = blacken(BREAST.copy())
    assert np.array_equal(blackened.pixels, BREAST)
    assert blackened.remarks == ()


@pytest.mark.parametrize("turned", [posed(BREAST, points_right=False), BREAST])
@pytest.mark.parametrize("level", [1, 200, 600])
def test_a_constant_offset_is_removed(turned: Pixels, level: int) -> None:
    blackened = blacken(turned + np.uint16(level))
    assert np.array_equal(blackened.pixels, turned)
    assert blackened.remarks == (f"The background was not black: values up to {level} were made black.",)


@pytest.mark.parametrize("values", [noise(1, 30), noise(0, 30), noise(60, 140)])
def test_a_noise_floor_becomes_black(values: NDArray[np.int64]) -> None:
    blackened = blacken(with_background(values))
    assert np.count_nonzero(blackened.pixels[BACKGROUND]) == 0
    assert np.mean(blackened.pixels[~BACKGROUND] > 0) > 0.99
    assert "The background was not black" in blackened.remarks[0]


def test_a_background_within_the_range_of_the_breast_becomes_black_and_the_breast_stays() -> None:
    blackened = blacken(with_background(901))
    assert np.array_equal(blackened.pixels, BREAST)
    assert "values up to 901" in blackened.remarks[0]


@pytest.mark.parametrize("value", [4095, 1500, 300])
def test_a_frame_becomes_black(value: int) -> None:
    blackened = blacken(np.where(FRAME, value, BREAST).astype(np.uint16))
    assert np.array_equal(blackened.pixels, np.where(FRAME, 0, BREAST))
    assert blackened.remarks == (f"The image has a frame of value {value} that was made black.",)


def test_a_frame_around_a_grey_background_becomes_black_too() -> None:
    blackened = blacken(np.where(FRAME, 4095, BREAST + np.uint16(100)).astype(np.uint16))
    assert np.array_equal(blackened.pixels, np.where(FRAME, 0, BREAST))
    assert len(blackened.remarks) == 2


def test_labels_in_every_corner_do_not_hide_the_background() -> None:
    blackened = blacken(np.where(LABELS, 4095, with_background(100)).astype(np.uint16))
    assert np.count_nonzero(blackened.pixels[BACKGROUND & ~LABELS]) == 0


@pytest.mark.parametrize("make", [lambda: 4095 - BREAST, lambda: with_background(4095)])
def test_a_background_brighter_than_the_breast_is_refused(make: Callable[[], Pixels]) -> None:
    with pytest.raises(UnsupportedMammogram, match="background is brighter"):
        blacken(make())


def test_saturated_muscle_is_not_taken_for_background() -> None:
    saturated = BREAST.copy()
    saturated[:, :60][saturated[:, :60] > 0] = 4095
    assert np.array_equal(blacken(saturated.copy()).pixels, saturated)


def test_an_image_of_one_value_has_no_background() -> None:
    with pytest.raises(UnsupportedMammogram, match="background is brighter"):
        blacken(np.full((300, 300), 7, dtype=np.uint16))


@pytest.mark.parametrize("seed", range(8))
def test_only_black_pixels_that_are_not_connected_to_the_edge_become_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    image = BREAST.copy()
    image[random.random(image.shape) < (0.0, 0.001, 0.2, 0.6)[seed % 4]] = 0
    image[10:30, 300:380] = random.integers(0, 2, (20, 80)) * 900
    filled = blacken(image.copy()).pixels
    assert np.array_equal(filled, np.where(ndimage.binary_fill_holes(image > 0) & (image == 0), 1, image))
