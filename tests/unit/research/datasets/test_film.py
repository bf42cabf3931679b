"""Tests of the preparation of digitised film, on drawn films and on real ones of CBIS-DDSM where they are there."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality
from glam_node.research.datasets.film import prepare_film
from tests.shared_data import SHARED, needs_shared_data

SHAPE = (600, 350)
FOG = 2500
WHITE = 60000
Film = NDArray[np.uint16]


def drawn(axis: tuple[int, int] = (200, 180)) -> Film:
    """Return a left CC view on film: a half ellipse at the left edge, on a background that is not black."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 1 - ((rows - 300) / axis[0]) ** 2 - (columns / axis[1]) ** 2
    noise = np.random.default_rng(1).integers(0, 300, SHAPE)
    return np.where(depth > 0, 20000 + 20000 * np.sqrt(np.maximum(depth, 0)), FOG + noise).astype(np.uint16)


def with_border(film: Film) -> Film:
    film[:12], film[-30:], film[:, :7], film[:, -9:] = WHITE, WHITE, WHITE, WHITE
    return film


def with_tilted_border(film: Film) -> Film:
    cv2.fillPoly(film, [np.array([(0, 0), (349, 0), (349, 20), (0, 5)], dtype=np.int32)], (WHITE,))
    return film


def with_label(film: Film) -> Film:
    film[30:50, 250:330] = WHITE
    return film


def with_tape(film: Film) -> Film:
    film[:, 320:335] = WHITE // 2
    return film


def with_black_margin(film: Film) -> Film:
    return np.concatenate([np.zeros((SHAPE[0], 60), dtype=np.uint16), film], axis=1)


def with_more_fog_on_one_side(film: Film) -> Film:
    return film + np.linspace(0, 2000, SHAPE[1]).astype(np.uint16)


CHANGES = [with_border, with_tilted_border, with_label, with_tape, with_black_margin, with_more_fog_on_one_side]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_only_the_breast_is_left_of_a_film(change: Callable[[Film], Film]) -> None:
    prepared = prepare_film(change(drawn()), Laterality.LEFT)
    breast = change(np.where(drawn() > FOG + 4000, 20000, 0).astype(np.uint16))
    kept = prepared.geometry.apply(breast)
    assert np.mean((prepared.pixels > 0) != ((kept >= 20000) & (kept <= 22000))) < 0.03
    assert not prepared.pixels[0].any()
    assert not prepared.pixels[:, -1].any()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_film_that_is_stored_mirrored_is_mirrored_back(change: Callable[[Film], Film]) -> None:
    film = change(drawn())
    straight, mirrored = prepare_film(film, Laterality.LEFT), prepare_film(film[:, ::-1].copy(), Laterality.LEFT)
    assert (straight.geometry.mirrored, mirrored.geometry.mirrored) == (False, True)
    assert np.mean(straight.pixels[:, :300] != mirrored.pixels[:, :300]) < 0.03
    assert any("mirrored back" in remark for remark in mirrored.remarks)


def test_a_right_breast_is_made_to_point_left() -> None:
    assert prepare_film(drawn(), Laterality.RIGHT).geometry.mirrored
    assert not prepare_film(drawn()[:, ::-1].copy(), Laterality.RIGHT).geometry.mirrored


def test_the_breast_begins_at_the_edge_of_what_is_kept() -> None:
    pixels = prepare_film(with_black_margin(drawn()), Laterality.LEFT).pixels
    assert np.count_nonzero(pixels[:, 3]) > 350


def test_outlines_are_cut_and_mirrored_with_the_film() -> None:
    film, mask = with_border(drawn())[:, ::-1].copy(), np.zeros(SHAPE, dtype=np.bool_)
    film[280:290, 200:230], mask[280:290, 200:230] = 65535, True
    prepared = prepare_film(film, Laterality.LEFT)
    assert prepared.geometry.mirrored
    assert np.array_equal(prepared.geometry.apply(mask), prepared.pixels == 65535)


def test_black_pixels_within_the_breast_are_not_background() -> None:
    film = drawn()
    film[295:305, 60:70] = 0
    pixels = prepare_film(film, Laterality.LEFT).pixels
    assert (pixels[295:305, 60:69] == 1).all()


def test_a_film_that_does_not_show_which_way_the_breast_points_is_refused() -> None:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    round_one = np.where(((rows - 300) / 200) ** 2 + ((columns - 175) / 120) ** 2 < 1, 30000, FOG).astype(np.uint16)
    with pytest.raises(UnsupportedMammogram, match="which way the breast points"):
        prepare_film(round_one, Laterality.LEFT)


@pytest.mark.parametrize(
    ("film", "reason"),
    [
        (np.full(SHAPE, 9, dtype=np.uint16), "no contrast"),
        (with_label(np.full(SHAPE, FOG, dtype=np.uint16)), "No breast was found|no contrast"),
    ],
    ids=["empty", "label only"],
)
def test_a_film_without_a_breast_is_refused(film: Film, reason: str) -> None:
    with pytest.raises(UnsupportedMammogram, match=reason):
        prepare_film(film, Laterality.LEFT)


# The side to which the breast points on 200 of the 1,231 pictures, drawn at random and judged by eye.
JUDGED = Path(__file__).with_name("cbis_mass_points.csv")
PICTURES = (SHARED or Path()) / "data" / "cbis_mass_800"
LARGEST_PART_WRONG = 0.01


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.skipif(not PICTURES.is_dir(), reason="NOT RUN: the pictures of shared/data/cbis_mass_800 are not there")
def test_the_side_to_which_real_breasts_point_is_that_judged_by_eye() -> None:
    with JUDGED.open(encoding="utf-8") as file:
        judged = list(csv.DictReader(file))
    wrong = []
    for row in judged:
        picture = cv2.imread(str(PICTURES / "images" / row["file"]), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        film = cv2.resize(picture, (441, 750), interpolation=cv2.INTER_AREA).astype(np.uint16)
        points = "left" if prepare_film(film, Laterality.LEFT).geometry.mirrored else "right"
        if points != row["points"]:
            wrong.append(row["file"])
    assert len(judged) == 200
    assert len(wrong) <= LARGEST_PART_WRONG * len(judged), wrong
