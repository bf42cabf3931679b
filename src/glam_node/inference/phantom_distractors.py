"""Distractors: structures of phantoms that are as bright as lesions, so that brightness alone does not find lesions."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.phantom_image import Image, PhantomLesion, blend

_FEWEST, _MOST = 2, 5
_LEVEL = (3250.0, 3800.0)
"""The range of brightness, from the level of a malignant lesion to that of a benign one."""
_RADIUS = (0.018, 0.036)
"""The range of radii, which is that of the lesions, in fractions of the image's height."""
_ATTEMPTS = 20
_CLEARANCE = 3.0

Point = tuple[float, float]


def add_distractors(
    image: Image, seed: int, edge: NDArray[np.float64], lesions: Sequence[PhantomLesion], nipple: Point
) -> None:
    """Draw calcified vessels, oil cysts and lymph nodes into `image`, none within three radii of a lesion.

    The same seed tries the same structures at the same places, whether or not there are lesions.

    Args:
        image: Rows x Columns, changed in place; the chest wall is on the left.
        seed: The seed of the exam and view.
        edge: The distance of the skin from the chest wall in each row, in pixels.
        lesions: The lesions of the view.
        nipple: Row and column of the nipple, in fractions of the image's height.
    """
    generator = np.random.default_rng([seed, 0x646973])
    taken = [(nipple[0] + lesion.height, nipple[1] * lesion.depth, lesion.radius) for lesion in lesions]
    for _ in range(int(generator.integers(_FEWEST, _MOST + 1))):
        draw = _SHAPES[int(generator.integers(len(_SHAPES)))]
        radius, level = float(generator.uniform(*_RADIUS)), float(generator.uniform(*_LEVEL))
        places = generator.uniform((0.25, 0.2), (0.85, 0.75), (_ATTEMPTS, 2))
        shape_seed = int(generator.integers(2**31))
        place = next((free for row, depth in places if (free := _free(row, depth, radius, edge, taken))), None)
        if place is not None:
            taken.append((*place, radius))
            row, column = (int(fraction * len(edge)) for fraction in place)
            blend(image, draw(np.random.default_rng(shape_seed), radius * len(edge)), (row, column), level)


def _free(
    row: float, depth: float, radius: float, edge: NDArray[np.float64], taken: Sequence[tuple[float, float, float]]
) -> Point | None:
    """Return row and column of a place, in fractions of the height; None if it is taken or too near the skin."""
    rows = len(edge)
    column = float(edge[int(row * rows)]) / rows * depth
    if column < 2 * radius:
        return None
    clear = all(np.hypot(row - y, column - x) > _CLEARANCE * max(radius, other) for y, x, other in taken)
    return (float(row), column) if clear else None


def _vessel(generator: np.random.Generator, radius: float) -> Image:
    """Draw a calcified vessel: a bent band that is four radii long."""
    canvas = _canvas(2.4 * radius)
    centre = canvas.shape[0] // 2
    angle, bend = generator.uniform(0, np.pi), generator.uniform(-0.5, 0.5)
    t = np.linspace(-1, 1, 24)
    along, across = 2 * radius * t, bend * radius * np.cos(np.pi * t / 2)
    points = np.stack(
        (along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)), axis=1
    )
    width = max(1, round(0.45 * radius))
    cv2.polylines(canvas, [np.round((points + centre) * 16).astype(np.int32)], False, 1.0, width, cv2.LINE_8, 4)
    return _soft(canvas, radius)


def _oil_cyst(generator: np.random.Generator, radius: float) -> Image:
    """Draw an oil cyst: a bright rim around a dark centre."""
    canvas = _canvas(1.3 * radius)
    centre, thickness = (canvas.shape[0] // 2,) * 2, max(1, round(generator.uniform(0.25, 0.4) * radius))
    axes = (round(radius), round(radius * generator.uniform(0.75, 1)))
    cv2.ellipse(canvas, centre, axes, float(generator.uniform(0, 180)), 0, 360, 1.0, thickness)
    return _soft(canvas, radius)


def _lymph_node(generator: np.random.Generator, radius: float) -> Image:
    """Draw a lymph node: an oval with a dark notch, its hilum."""
    canvas = _canvas(1.5 * radius)
    centre = canvas.shape[0] // 2
    angle = generator.uniform(0, 2 * np.pi)
    axes = (round(1.25 * radius), round(0.8 * radius))
    cv2.ellipse(canvas, (centre, centre), axes, float(np.degrees(angle)) + 90, 0, 360, 1.0, cv2.FILLED)
    notch = centre + 0.6 * radius * np.array((np.cos(angle), np.sin(angle)))
    cv2.circle(canvas, (round(notch[0]), round(notch[1])), round(0.6 * radius), 0.0, cv2.FILLED)
    return _soft(canvas, radius)


def _canvas(reach: float) -> Image:
    side = 2 * int(np.ceil(reach)) + 3
    return np.zeros((side, side), dtype=np.float32)


def _soft(canvas: Image, radius: float) -> Image:
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), max(0.3, 0.06 * radius)), dtype=np.float32)


_SHAPES: tuple[Callable[[np.random.Generator, float], Image], ...] = (_vessel, _oil_cyst, _lymph_node)
