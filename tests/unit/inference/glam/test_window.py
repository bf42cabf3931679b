"""Tests that every pixel of the window comes from its place in the image and returns to it, in any pose."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glam_node.inference.findings import CHANNELS
from glam_node.inference.glam.crop import solid_breast
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.glam.postprocessing import replicate
from glam_node.inference.glam.preprocessing import place, prepare
from glam_node.inference.glam.window import WINDOW_SHAPE, WindowGeometry, standardise
from glam_node.inference.mammogram import Laterality, ViewPosition
from tests.reference.preprocessing import standardised
from tests.unit.inference.glam.views import Pixels, half_ellipse, orientation_header, posed, view_of

poses = st.fixed_dictionaries({"points_right": st.booleans(), "upside_down": st.booleans()})
# An upside-down CC view could be the other breast's: it is refused.
posed_views = st.tuples(st.sampled_from(ViewPosition), poses).filter(
    lambda drawn: drawn[0] is ViewPosition.MLO or not drawn[1]["upside_down"]
)
# Smaller than the window, and larger than it in one direction or both
sizes = st.tuples(
    st.integers(400, 900) | st.integers(2900, 3400),
    st.integers(400, 900) | st.integers(1900, 2400),
)
parts = st.tuples(st.floats(0.85, 1.3), st.floats(0.85, 1.2))
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def breast_of(size: tuple[int, int], part: tuple[float, float]) -> Pixels:
    return half_ellipse(size, int(size[0] * part[0]), int(size[1] * part[1]))


def geometry_of(
    laterality: Laterality,
    posed_view: tuple[ViewPosition, dict[str, bool]],
    size: tuple[int, int],
    part: tuple[float, float],
) -> WindowGeometry:
    """Return the geometry of a breast with this laterality, pose, size and position."""
    view, pose = posed_view
    pixels = posed(breast_of(size, part), **pose)
    header = orientation_header(laterality, view, **pose)
    return prepare(view_of(pixels, laterality, view, header)).geometry


geometries = st.builds(geometry_of, st.sampled_from(Laterality), posed_views, sizes, parts)


@few
@given(geometries)
def test_every_pixel_of_the_window_maps_back_to_the_pixel_it_came_from(geometry: WindowGeometry) -> None:
    rows, columns = geometry.source_shape
    numbered = np.arange(1, rows * columns + 1, dtype=np.uint32).reshape(rows, columns)
    window = geometry.apply(numbered)
    back = geometry.invert(window)
    placed = back > 0
    assert np.array_equal(back[placed], numbered[placed])
    assert np.count_nonzero(placed) == np.count_nonzero(window) > 0


@few
@given(geometries)
def test_a_map_in_cells_lies_where_the_window_does(geometry: WindowGeometry) -> None:
    shape = geometry.source_shape
    cells = np.random.default_rng(shape[0]).integers(1, 255, (2, 2944 // 16, 1920 // 16), dtype=np.uint8)
    saliency = geometry.map_on_source(cells, 16)
    for kind, values in zip(CHANNELS, cells, strict=True):
        assert np.array_equal(saliency.on_image(kind, shape), geometry.invert(replicate(values, 16)))


@few
@given(st.sampled_from(Laterality), posed_views, sizes, parts, st.floats(0, 0.999))
def test_a_mark_in_the_window_is_the_mark_in_the_stored_image(
    laterality: Laterality,
    posed_view: tuple[ViewPosition, dict[str, bool]],
    size: tuple[int, int],
    part: tuple[float, float],
    mark: float,
) -> None:
    view, pose = posed_view
    breast = breast_of(size, part)
    rows, columns = np.nonzero(breast)
    chosen = int(mark * rows.size)
    breast[rows[chosen] : rows[chosen] + 9, columns[chosen] : columns[chosen] + 5] = 60_000
    pixels = posed(breast, **pose)
    geometry = prepare(view_of(pixels, laterality, view, orientation_header(laterality, view, **pose))).geometry
    marked = geometry.invert(geometry.apply(pixels) == 60_000)
    seen = geometry.invert(np.ones(WINDOW_SHAPE, dtype=np.bool_))
    assert np.array_equal(marked, (pixels == 60_000) & seen)


@few
@given(st.sampled_from(ViewPosition), sizes, parts, poses)
def test_the_window_is_where_the_specification_says(
    view: ViewPosition, size: tuple[int, int], part: tuple[float, float], pose: dict[str, bool]
) -> None:
    pixels = posed(breast_of(size, part), **pose)
    placement = place(pixels, solid_breast(pixels), view, Orientation(**pose))
    crop, (y, x) = placement.crop, placement.centre
    upright = pixels[::-1] if pose["upside_down"] else pixels
    cropped = upright[crop.top : crop.bottom, crop.left : crop.right]
    flipped = cropped if pose["points_right"] else cropped[:, ::-1]
    height, width = flipped.shape
    pad_top = max(2944 - height, 0) // 2 if view is ViewPosition.CC else 0
    padded = np.pad(flipped, ((pad_top, max(2944 - height, 0) - pad_top), (0, max(1920 - width, 0))))
    top, left = np.clip(y - 1472, 0, padded.shape[0] - 2944), np.clip(x - 960, 0, padded.shape[1] - 1920)
    window = padded[top : top + 2944, left : left + 1920]
    assert np.array_equal(placement.geometry.apply(pixels), window)
    expected = standardised(window.astype(np.float32))
    np.testing.assert_allclose(standardise(placement.geometry, pixels), expected, rtol=0, atol=1e-6)


def whole(pixels: Pixels, rows: int) -> WindowGeometry:
    """Return a geometry whose first rows fill the first rows of the window."""
    return WindowGeometry(pixels.shape, Orientation(points_right=True), (0, rows), (0, pixels.shape[1]), pad_top=0)


def test_a_window_is_standardised_with_its_empty_pixels() -> None:
    pixels = np.full(WINDOW_SHAPE, 1000, dtype=np.uint16)
    window = standardise(whole(pixels, WINDOW_SHAPE[0] // 2), pixels)
    assert np.unique(window[: WINDOW_SHAPE[0] // 2]).tolist() == [1.0]
    assert np.unique(window[WINDOW_SHAPE[0] // 2 :]).tolist() == [-1.0]


def test_a_constant_window_becomes_zero_everywhere() -> None:
    pixels = np.full(WINDOW_SHAPE, 3001, dtype=np.uint16)
    assert not standardise(whole(pixels, WINDOW_SHAPE[0]), pixels).any()
