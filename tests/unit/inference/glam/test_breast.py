"""Tests that the fast ways of locating the breast give the same result as the slow one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.breast import locate_breast
from glam_node.inference.glam.crop import breast_tissue, solid_breast
from glam_node.inference.row_spans import RowSpans
from tests.unit.inference.glam.views import half_ellipse

PLAIN = half_ellipse((900, 600), 800, 500)


def changed(*boxes: tuple[int, int, int, int, int]) -> NDArray[np.uint16]:
    """Return a breast with half-open boxes (top, bottom, left, right, value) drawn over it."""
    image = PLAIN.copy()
    for top, bottom, left, right, value in boxes:
        image[top:bottom, left:right] = value
    return image


IMAGES = {
    "nothing else": PLAIN,
    "from edge to edge": np.ones((500, 300), dtype=np.uint16),
    "a label beside it": changed((10, 60, 500, 580, 9)),
    "a label above it": changed((0, 40, 0, 300, 9), (40, 50, 0, 600, 0)),
    "a hole": changed((400, 401, 200, 201, 0)),
    "a hole at its rim": changed((400, 404, 0, 3, 0)),
    "a fold": changed((600, 640, 0, 300, 0)),
    "cut in two": changed((450, 455, 0, 600, 0)),
    "two of one size": changed((0, 900, 0, 600, 0), (0, 300, 0, 300, 5), (500, 800, 200, 500, 5)),
    "two side by side": changed((0, 900, 0, 600, 0), (0, 400, 0, 250, 5), (0, 500, 300, 600, 5)),
    "two joined by a line": changed(
        (0, 900, 0, 600, 0), (0, 300, 0, 250, 5), (300, 500, 5, 6, 5), (500, 900, 0, 300, 5)
    ),
    "noise": (np.random.default_rng(1).random((700, 500)) > 1e-5).astype(np.uint16),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_masks_follow_the_definition(image: NDArray[np.uint16]) -> None:
    located = locate_breast(image)
    solid = solid_breast(image)
    assert np.array_equal(located.solid, solid)
    assert np.array_equal(located.tissue, breast_tissue(image, solid))


@pytest.mark.parametrize("seed", range(40))
def test_masks_of_random_shapes_follow_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    image = np.zeros((600, 520), dtype=np.uint16)
    for _ in range(4):
        top, left, height, width = random.integers((0, 0, 50, 50), (400, 300, 500, 450))
        image[top : top + height, left : left + width] = 1
    for _ in range(random.integers(0, 4)):
        row, column = random.integers(0, 500, size=2)
        image[row : row + 2, column : column + 3] = 0
    try:
        solid = solid_breast(image)
    except UnsupportedMammogram:
        with pytest.raises(UnsupportedMammogram):
            locate_breast(image)
        return
    located = locate_breast(image)
    assert np.array_equal(located.solid, solid)
    assert np.array_equal(located.tissue, breast_tissue(image, solid))


def test_spans_are_eroded_and_dilated_by_a_diamond() -> None:
    mask = np.zeros((9, 12), dtype=np.bool_)
    mask[1:8, 2:10] = True
    spans = RowSpans.around(mask).eroded(2)
    assert np.array_equal(spans.mask(12)[3:6, 4:8], np.ones((3, 4), dtype=np.bool_))
    assert spans.area == 12
    assert spans.dilated(2, 12).mask(12)[1].tolist() == [False] * 4 + [True] * 4 + [False] * 4
