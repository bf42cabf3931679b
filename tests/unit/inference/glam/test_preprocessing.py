"""Tests of the preparation of a view, and of the views that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.preprocessing import prepare
from glam_node.inference.mammogram import Laterality, ViewPosition
from tests.unit.inference.glam.views import Pixels, half_ellipse, orientation_header, posed, view_of

L, R, CC, MLO = Laterality.LEFT, Laterality.RIGHT, ViewPosition.CC, ViewPosition.MLO


def breast() -> Pixels:
    image = half_ellipse((700, 500), 600, 400)
    image[250:260, 100:120] = 5000
    return image


def test_the_window_is_standardised_and_holds_the_breast_at_its_left_edge() -> None:
    window = prepare(view_of(breast())).window
    assert window.shape == (2944, 1920)
    assert abs(float(window.mean())) < 1e-5
    assert abs(float(window.std()) - 1) < 1e-5
    assert window[1472, 0] > window[0, 0]


@pytest.mark.parametrize(
    ("view", "points_right", "upside_down"),
    [(CC, False, False), (MLO, False, False), (MLO, True, True), (MLO, False, True)],
)
def test_the_network_sees_the_same_in_every_pose(view: ViewPosition, points_right: bool, upside_down: bool) -> None:
    plain = prepare(view_of(breast(), L, view, orientation_header(L, view)))
    header = orientation_header(L, view, points_right=points_right, upside_down=upside_down)
    stored = posed(breast(), points_right=points_right, upside_down=upside_down)
    turned = prepare(view_of(stored, L, view, header))
    assert turned.remarks == ()
    assert np.array_equal(turned.window, plain.window)


def test_a_breast_where_it_should_be_gives_no_remark() -> None:
    assert prepare(view_of(breast())).remarks == ()


def test_a_breast_away_from_its_edge_gets_a_remark() -> None:
    away = np.pad(breast(), ((0, 0), (60, 0)))
    (remark,) = prepare(view_of(away, patient_orientation=("A", "R"))).remarks
    assert "begins 60 columns away" in remark


def test_a_breast_on_the_wrong_side_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="mirrored or its laterality is wrong"):
        prepare(view_of(posed(breast(), points_right=False), patient_orientation=("A", "R")))


def test_an_image_without_background_is_refused() -> None:
    noise = np.random.default_rng(1).integers(1, 99, (500, 400)).astype(np.uint16)
    with pytest.raises(UnsupportedMammogram, match="No background was found"):
        prepare(view_of(noise))


def test_remarks_of_reading_are_kept() -> None:
    read = replace(view_of(breast()), remarks=("The image has a frame.",))
    assert prepare(read).remarks == ("The image has a frame.",)


def test_tissue_outside_the_window_gets_a_remark_with_its_share() -> None:
    tall = np.zeros((4000, 500), dtype=np.uint16)
    tall[:, :400] = np.arange(1, 401)
    (remark,) = prepare(view_of(tall)).remarks
    assert remark.startswith("26.4% of the breast lies outside")


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((0, 0), np.uint16), "no pixels"),
        (np.zeros((50, 40), np.uint16), "too small"),
        (np.zeros((900, 700), np.uint16), "no breast"),
        (np.full((900, 700), 5, np.uint16), "no contrast"),
        (np.where(breast() > 0, 9, 0).astype(np.uint16), "no contrast"),
    ],
)
def test_an_image_without_a_breast_is_refused(pixels: Pixels, reason: str) -> None:
    with pytest.raises(UnsupportedMammogram, match=reason):
        prepare(view_of(pixels))
