"""Tests of images drawn from recipes."""

import pytest

from glam_node.research.golden.synthetic_inputs import render_recipe


def recipe(*items: dict[str, object], bg: int = 0) -> dict[str, object]:
    return {"shape": [20, 30], "seed": 1, "bg": bg, "items": list(items)}


def test_an_ellipse_is_noise_within_its_limits_and_nothing_outside() -> None:
    image = render_recipe(recipe({"k": "ellipse", "cy": 10, "cx": 0, "ry": 5, "rx": 8, "lo": 100, "hi": 200}))
    assert image[10, 0] >= 100
    assert image[10, 8] >= 100
    assert image.max() < 200
    assert image[10, 9] == image[4, 0] == 0


def test_later_items_cover_earlier_ones_and_values_are_clipped() -> None:
    first = {"k": "rect", "y0": 0, "y1": 20, "x0": 0, "x1": 30, "v": 7}
    second = {"k": "rect", "y0": 2, "y1": 4, "x0": 5, "x1": 50, "v": 70_000}
    image = render_recipe(recipe(first, second))
    assert image[2, 29] == 65_535
    assert image[4, 29] == image[2, 4] == 7


def test_a_letter_is_a_box_with_a_stroke_of_three_pixels() -> None:
    image = render_recipe(recipe({"k": "text", "y0": 1, "x0": 2, "n": 2, "h": 10, "w": 8, "v": 9}, bg=1))
    assert image[1:4, 2:10].min() == 9
    assert image[4:8, 5:7].max() == 1
    assert image[5, 20] == 9
    assert image[5, 10] == 1


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(KeyError, match="spiral"):
        render_recipe(recipe({"k": "spiral"}))
