"""Views for tests: a half ellipse as the breast, stored in any pose."""

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition

Pixels = NDArray[np.uint16]


def half_ellipse(shape: tuple[int, int], height: int, depth: int) -> Pixels:
    """Return a breast at the left edge that points right, in the middle rows; brighter with each column."""
    y = (np.arange(shape[0]) - shape[0] // 2) / (height / 2)
    x = np.arange(shape[1]) / depth
    inside = y[:, None] ** 2 + x[None, :] ** 2 <= 1
    values = 200 + np.arange(shape[1]) % 1000 + (np.arange(shape[0]) % 7)[:, None]
    return np.where(inside, values, 0).astype(np.uint16)


def posed(image: Pixels, *, points_right: bool = True, upside_down: bool = False) -> Pixels:
    """Return an image that points right, head up, as it is stored in another pose."""
    turned = image[:: -1 if upside_down else 1, :: 1 if points_right else -1]
    return np.ascontiguousarray(turned)


def orientation_header(
    laterality: Laterality, view: ViewPosition, *, points_right: bool = True, upside_down: bool = False
) -> tuple[str, str]:
    """Return Patient Orientation of an image in that pose."""
    inner, outer = ("R", "L") if laterality is Laterality.LEFT else ("L", "R")
    down = "" if view is ViewPosition.CC else "H" if upside_down else "F"
    return "A" if points_right else "P", down + (outer if upside_down else inner)


def view_of(
    pixels: Pixels,
    laterality: Laterality = Laterality.LEFT,
    view: ViewPosition = ViewPosition.CC,
    patient_orientation: tuple[str, str] | None = None,
    uid: str = "2.25.1",
) -> Mammogram:
    """Return a mammogram with these pixels."""
    return Mammogram(uid, laterality, view, pixels, None, patient_orientation)
