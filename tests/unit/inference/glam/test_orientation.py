"""Tests of a stored view's orientation: the header decides unless it contradicts itself or the pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glam_node.inference.chest_wall import ShownSide, shown_side
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.orientation import Orientation, orientation_of
from glam_node.inference.mammogram import Laterality, ViewPosition
from tests.unit.inference.glam.views import Pixels, half_ellipse, orientation_header, posed, view_of

L, R, CC, MLO = Laterality.LEFT, Laterality.RIGHT, ViewPosition.CC, ViewPosition.MLO
RIGHTWARDS = half_ellipse((300, 240), 260, 200)
LEFTWARDS = posed(RIGHTWARDS, points_right=False)
UNTOLD = np.ones((300, 240), dtype=np.uint16)
Header = tuple[str, str]


def judge(
    pixels: Pixels, laterality: Laterality, view: ViewPosition, header: Header | None
) -> tuple[Orientation, tuple[str, ...]]:
    return orientation_of(view_of(pixels, laterality, view, header), pixels > 0)


@pytest.mark.parametrize(
    ("laterality", "view", "header", "expected"),
    [
        (L, CC, ("A", "R"), Orientation(True)),
        (R, CC, ("P", "L"), Orientation(False)),
        (L, MLO, ("A", "FR"), Orientation(True)),
        (R, MLO, ("P", "FL"), Orientation(False)),
        (L, MLO, ("A", "F"), Orientation(True)),
        (R, MLO, ("P", "F"), Orientation(False)),
        (R, CC, ("A", "L"), Orientation(True)),
        (R, MLO, ("A", "FL"), Orientation(True)),
        (R, MLO, ("A", "H"), Orientation(True, True)),
        (R, MLO, ("A", "HR"), Orientation(True, True)),
    ],
)
def test_the_header_states_the_pose(
    laterality: Laterality, view: ViewPosition, header: Header, expected: Orientation
) -> None:
    pixels = posed(RIGHTWARDS, points_right=expected.points_right)
    assert judge(pixels, laterality, view, header) == (expected, ())


@pytest.mark.parametrize(
    ("laterality", "view", "header"),
    [
        (R, CC, ("A", "R")),
        (L, CC, ("P", "L")),
        (L, CC, ("A", "L")),
        (R, MLO, ("A", "FR")),
        (L, MLO, ("P", "FL")),
        (R, MLO, ("A", "F")),
        (L, MLO, ("P", "F")),
        (R, MLO, ("P", "HL")),
    ],
)
def test_a_header_that_would_fit_the_other_breast_is_refused(
    laterality: Laterality, view: ViewPosition, header: Header
) -> None:
    with pytest.raises(UnsupportedMammogram, match="laterality may be wrong"):
        judge(posed(RIGHTWARDS, points_right=header[0] == "A"), laterality, view, header)


sizes = st.tuples(st.integers(250, 420), st.integers(200, 340))
parts = st.tuples(st.floats(0.5, 1.1), st.floats(0.5, 0.95))
few = settings(max_examples=60, deadline=None, derandomize=True)


@few
@given(st.sampled_from(Laterality), st.sampled_from(ViewPosition), sizes, parts, st.booleans())
def test_a_view_is_accepted_and_mirrored_or_with_the_other_laterality_refused(
    laterality: Laterality,
    view: ViewPosition,
    size: tuple[int, int],
    part: tuple[float, float],
    header_is_stated: bool,
) -> None:
    pixels = posed(half_ellipse(size, int(size[0] * part[0]), int(size[1] * part[1])), points_right=laterality is L)
    header = orientation_header(laterality, view, points_right=laterality is L) if header_is_stated else None
    other = R if laterality is L else L
    assert judge(pixels, laterality, view, header) == (Orientation(laterality is L), ())
    for mirrored, stated in ((pixels[:, ::-1], laterality), (pixels, other)):
        with pytest.raises(UnsupportedMammogram, match="laterality"):
            judge(mirrored, stated, view, header)


def test_a_view_of_one_breast_with_the_whole_header_of_the_other_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="says that the breast points left, but it points right"):
        judge(RIGHTWARDS, R, CC, ("P", "L"))


def test_a_doubtful_contradiction_gets_a_remark() -> None:
    pixels = np.zeros((400, 400), dtype=np.uint16)
    pixels[50:350, 100:200], pixels[50:322, 200:300] = 5, 5
    orientation, (remark,) = judge(pixels, R, CC, ("P", "L"))
    assert not orientation.points_right
    assert "hints at the opposite" in remark


def test_an_unclear_outline_gets_a_remark() -> None:
    orientation, (remark,) = judge(UNTOLD, R, CC, None)
    assert not orientation.points_right
    assert "does not show whether that is true" in remark


@pytest.mark.parametrize("header", [None, ("X", "Y"), ("", "")])
@pytest.mark.parametrize(("laterality", "pixels"), [(L, RIGHTWARDS), (R, LEFTWARDS)])
def test_left_breasts_point_right_without_a_header(
    laterality: Laterality, pixels: Pixels, header: Header | None
) -> None:
    assert judge(pixels, laterality, CC, header) == (Orientation(laterality is L), ())


def test_an_image_that_says_it_is_turned_by_90_degrees_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="90 degrees"):
        judge(RIGHTWARDS, L, MLO, ("F", "A"))


@pytest.mark.parametrize("turns", [1, 3])
def test_an_image_that_looks_turned_by_90_degrees_is_refused(turns: int) -> None:
    with pytest.raises(UnsupportedMammogram, match="seems to be turned by 90 degrees"):
        judge(np.rot90(RIGHTWARDS, turns), L, CC, ("A", "R"))


@pytest.mark.parametrize("turns", [1, 3])
def test_a_turned_cc_view_that_also_reaches_a_side_is_refused(turns: int) -> None:
    at_the_top = half_ellipse((300, 240), 300, 200)
    at_the_top[:80, :90] = 300  # a fold that reaches the upper edge
    assert judge(at_the_top, L, CC, None) == (Orientation(True), ())
    with pytest.raises(UnsupportedMammogram, match="seems to be turned by 90 degrees"):
        judge(np.rot90(at_the_top, turns), L, CC, None)


def upright_mlo(fold: int = 0) -> Pixels:
    """Return a breast that points right, with an axilla at the upper edge, and `fold` columns at the lower edge."""
    pixels = half_ellipse((300, 240), 260, 200)
    pixels[:150, :130] = 300
    pixels[150:, : max(fold, 1)] = 300
    return pixels


@pytest.mark.parametrize("fold", [0, 30])
def test_an_mlo_view_upside_down_is_refused_even_if_its_fold_reaches_the_edge(fold: int) -> None:
    assert judge(upright_mlo(fold), L, MLO, None) == (Orientation(True), ())
    with pytest.raises(UnsupportedMammogram, match="upside down"):
        judge(upright_mlo(fold)[::-1], L, MLO, None)


def test_an_mlo_view_with_a_wide_fold_and_a_narrow_axilla_gets_a_remark() -> None:
    _, (remark,) = judge(upright_mlo(120), L, MLO, None)
    assert "may be upside down" in remark


@pytest.mark.parametrize("turns", [1, 3])
def test_a_turned_mlo_view_is_refused_or_remarked(turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(upright_mlo(), turns))
    try:
        _, remarks = judge(turned, L, MLO, None)
    except UnsupportedMammogram as error:
        remarks = (str(error),)
    assert remarks


def test_a_breast_that_reaches_neither_side_is_larger_at_its_chest_wall() -> None:
    shifted = np.pad(RIGHTWARDS, ((0, 0), (30, 30))) > 0
    assert shown_side(shifted) == ShownSide(points_right=True, certain=True)
    assert shown_side(shifted[:, ::-1]) == ShownSide(points_right=False, certain=True)


def test_a_nipple_at_the_opposite_edge_changes_nothing() -> None:
    assert shown_side(half_ellipse((300, 240), 260, 241) > 0) == ShownSide(points_right=True, certain=True)


def test_an_outline_without_clear_sides_shows_no_direction() -> None:
    assert shown_side(UNTOLD > 0) is None
    assert shown_side(np.zeros((5, 5), dtype=np.bool_)) is None
