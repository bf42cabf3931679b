"""How a stored view lies: the header first, then custom, then the pixels."""

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.orientation import Orientation, orientation_of, shown_direction
from glam_node.inference.mammogram import Laterality, ViewPosition
from tests.unit.inference.glam.views import Pixels, half_ellipse, posed, view_of

L, R, CC, MLO = Laterality.LEFT, Laterality.RIGHT, ViewPosition.CC, ViewPosition.MLO
RIGHTWARDS = half_ellipse((300, 240), 260, 200)
LEFTWARDS = posed(RIGHTWARDS, points_right=False)
UNTOLD = np.ones((300, 240), dtype=np.uint16)


def judge(
    pixels: Pixels, laterality: Laterality, view: ViewPosition, header: tuple[str, str] | None
) -> tuple[Orientation, tuple[str, ...]]:
    return orientation_of(view_of(pixels, laterality, view, header), pixels > 0)


@pytest.mark.parametrize(
    ("laterality", "view", "header", "expected"),
    [
        (L, CC, ("A", "R"), Orientation(True, False)),
        (R, CC, ("P", "L"), Orientation(False, False)),
        (L, MLO, ("A", "FR"), Orientation(True, False)),
        (R, MLO, ("P", "FL"), Orientation(False, False)),
        (R, CC, ("A", "L"), Orientation(True, False)),
        (L, CC, ("A", "L"), Orientation(True, True)),
        (R, MLO, ("P", "HR"), Orientation(False, True)),
        (L, CC, ("P", "L"), Orientation(False, True)),
    ],
)
def test_the_header_tells_the_pose(
    laterality: Laterality, view: ViewPosition, header: tuple[str, str], expected: Orientation
) -> None:
    assert judge(UNTOLD, laterality, view, header) == (expected, ())


def test_a_header_that_the_pixels_contradict_is_believed_with_a_remark() -> None:
    orientation, (remark,) = judge(LEFTWARDS, L, CC, ("A", "R"))
    assert orientation.points_right
    assert "the pixels show the opposite" in remark


@pytest.mark.parametrize("header", [None, ("X", "Y")])
@pytest.mark.parametrize(("laterality", "pixels"), [(L, RIGHTWARDS), (R, LEFTWARDS), (L, UNTOLD), (R, UNTOLD)])
def test_without_a_header_left_breasts_point_right(
    laterality: Laterality, pixels: Pixels, header: tuple[str, str] | None
) -> None:
    assert judge(pixels, laterality, CC, header) == (Orientation(laterality is L), ())


def test_without_a_header_the_pixels_overrule_custom_with_a_remark() -> None:
    orientation, (remark,) = judge(RIGHTWARDS, R, MLO, None)
    assert orientation.points_right
    assert "laterality may be wrong" in remark


def test_an_image_turned_by_90_degrees_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="90 degrees"):
        judge(RIGHTWARDS, L, MLO, ("F", "A"))


def test_a_breast_that_touches_neither_edge_is_larger_at_its_chest_wall() -> None:
    shifted = np.pad(RIGHTWARDS, ((0, 0), (30, 30))) > 0
    assert shown_direction(shifted) is True
    assert shown_direction(shifted[:, ::-1]) is False


def test_a_shape_without_sides_tells_nothing() -> None:
    assert shown_direction(UNTOLD > 0) is None
    assert shown_direction(np.zeros((5, 5), dtype=np.bool_)) is None
