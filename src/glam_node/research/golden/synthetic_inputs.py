"""Synthetic inputs of golden files: mammogram-like 16-bit images drawn from small recipes.

A recipe has `shape`, `seed`, a background `bg` and `items` that are painted in order: an `ellipse` of noise between
`lo` and `hi`, a `rect` of one value, or a `text` of hollow boxes like a burnt-in label.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Recipe = Mapping[str, Any]
_Canvas = NDArray[np.int32]
_Noise = NDArray[np.float64]

_STROKE = 3
_LETTER_GAP = 10


def render_recipe(recipe: Recipe) -> NDArray[np.uint16]:
    """Draw the image of `recipe`, Rows x Columns. Raises KeyError for an unknown item."""
    rows, columns = recipe["shape"]
    noise = np.random.default_rng(recipe["seed"]).random((rows, columns))
    background = recipe.get("bg", 0)
    canvas = np.full((rows, columns), background, dtype=np.int32)
    for item in recipe["items"]:
        _PAINTERS[item["k"]](canvas, item, noise, background)
    return canvas.clip(0, np.iinfo(np.uint16).max, out=canvas).astype(np.uint16)


def _paint_ellipse(canvas: _Canvas, item: Recipe, noise: _Noise, _background: int) -> None:
    down = ((np.arange(canvas.shape[0], dtype=np.float64) - item["cy"]) / item["ry"]) ** 2
    across = ((np.arange(canvas.shape[1], dtype=np.float64) - item["cx"]) / item["rx"]) ** 2
    rows, columns = _reach(down), _reach(across)
    inside = down[rows, None] + across[None, columns] <= 1.0
    values = item["lo"] + np.floor(noise[rows, columns][inside] * (item["hi"] - item["lo"]))
    canvas[rows, columns][inside] = values.astype(canvas.dtype)


def _reach(squares: NDArray[np.float64]) -> slice:
    """Return the slice from the first to the last value that is at most 1."""
    within = np.flatnonzero(squares <= 1.0)
    return slice(within[0], within[-1] + 1) if within.size else slice(0)


def _paint_rectangle(canvas: _Canvas, item: Recipe, _noise: _Noise, _background: int) -> None:
    canvas[item["y0"] : item["y1"], item["x0"] : item["x1"]] = item["v"]


def _paint_text(canvas: _Canvas, item: Recipe, _noise: _Noise, background: int) -> None:
    height, width = item["h"], item["w"]
    for letter in range(item["n"]):
        left = item["x0"] + letter * (width + _LETTER_GAP)
        box = canvas[item["y0"] : item["y0"] + height, left : left + width]
        box[...] = item["v"]
        box[_STROKE : height - _STROKE, _STROKE : width - _STROKE] = background


_PAINTERS: dict[str, Callable[[_Canvas, Recipe, _Noise, int], None]] = {
    "ellipse": _paint_ellipse,
    "rect": _paint_rectangle,
    "text": _paint_text,
}
