"""Preparation of digitised film, so that it looks like a digital mammogram: used by the loaders of data sets alone.

Film has white borders, labels, tape, and a background that is not black, and many films of a collection were digitised
with the wrong side up. Everything but the breast is made black, borders at the edges are cut off, and the picture
decides which way the breast points: a film whose breast does not point as its laterality demands was stored mirrored,
and is mirrored back. A node never does this: there, a view that looks mirrored may have a wrong laterality.

All that is measured on the picture is measured on a reduced copy of it.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality

Pixels = NDArray[np.uint16]
Mask = NDArray[np.bool_]

# Width of the reduced copy, in pixels
_REDUCED_WIDTH = 300
# A line of pixels belongs to the white border if this part of it reaches this part of the picture's brightest values.
_WHITE = 0.88
_WHITE_PART = 0.8
_NO_BACKGROUND = 0.97
_BRIGHTEST_PERCENTILE = 99.95
_WIDEST_BORDER = 0.12
# A border may begin a few lines from the edge, and its last line is blurred.
_LINES_BETWEEN = 3
# Percentiles of the values that are taken for background and for dense tissue
_DARK, _BRIGHT = 5, 97
_LARGEST_THRESHOLD = 0.25
_BLUR = 1.2
# Labels, tape, and what is left of the borders are thinner than twice this part of the width.
_OPENING_RADIUS = 0.05
_CHEST_WALL = 0.02
# The part of a chest wall's rows that may be cut, and by how much of the width, so that its edge becomes straight
_ASKEW_ROWS = 0.4
_ASKEW = 0.03
# The least difference between both sides of the breast that shows which one is the chest wall
_LEAST_DIFFERENCE = 0.2


@dataclass(frozen=True, slots=True)
class FilmGeometry:
    """The part of a digitised film that is kept, and whether it is mirrored."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    """First row or column that is kept, and the one after the last."""
    mirrored: bool
    """Whether columns are reversed after the film is cut."""

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the part of `pixels`, an array of the film's Rows x Columns, that is kept."""
        kept = pixels[slice(*self.rows), slice(*self.columns)]
        return np.ascontiguousarray(kept[:, ::-1] if self.mirrored else kept)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFilm:
    """A film whose background is 0 and whose breast points as its laterality demands: a left one right."""

    pixels: Pixels
    geometry: FilmGeometry

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for the reader about the changes that were made."""
        cut = "The image is digitised film: its border was cut off, and all but the breast was made black."
        if not self.geometry.mirrored:
            return (cut,)
        return (cut, "The film was stored mirrored by its laterality, and was mirrored back.")


def prepare_film(pixels: Pixels, image_laterality: Laterality) -> PreparedFilm:
    """Return a digitised film prepared like a digital mammogram.

    Args:
        pixels: Rows x Columns; bright is dense.
        image_laterality: The breast by the labels.

    Raises:
        UnsupportedMammogram: No breast was found, or the picture does not show which way it points.
    """
    reduced = _reduced(pixels)
    rows, columns = _within_border(reduced)
    breast = np.zeros(reduced.shape, dtype=np.bool_)
    breast[rows, columns] = _breast(reduced[rows, columns])
    points_right = _points_right(breast)
    scale = pixels.shape[0] / reduced.shape[0], pixels.shape[1] / reduced.shape[1]
    left = _chest_wall(breast) if points_right else columns.start
    right = columns.stop if points_right else len(breast[0]) - _chest_wall(breast[:, ::-1])
    geometry = FilmGeometry(
        rows=(round(rows.start * scale[0]), round(rows.stop * scale[0])),
        columns=(round(left * scale[1]), round(right * scale[1])),
        mirrored=points_right is not (image_laterality is Laterality.LEFT),
    )
    enlarged = cv2.resize(breast.astype(np.float32), pixels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    cleaned = np.maximum(pixels, 1)
    cleaned[enlarged <= 1 / 2] = 0
    return PreparedFilm(geometry.apply(cleaned), geometry)


def _reduced(pixels: Pixels) -> NDArray[np.float32]:
    rows, columns = pixels.shape
    width = min(columns, _REDUCED_WIDTH)
    size = (width, max(1, round(rows * width / columns)))
    return np.asarray(cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _within_border(picture: NDArray[np.float32]) -> tuple[slice, slice]:
    """Return the rows and columns that lie within the white border."""
    white = picture >= _WHITE * np.percentile(picture, _BRIGHTEST_PERCENTILE)
    rows = _without_border(white, _WHITE_PART)
    columns = _without_border(white[rows].T, _WHITE_PART)
    # No breast is as wide as the film at its upper or lower end: there, a line without background is border.
    inner = _without_border(_bright(picture[rows, columns]), _NO_BACKGROUND)
    return slice(rows.start + inner.start, rows.start + inner.stop), columns


def _without_border(white: Mask, least_part: float) -> slice:
    """Return the rows of `white` that are left without those at both ends whose part of True values is so large."""
    return slice(_border_lines(white, least_part), len(white) - _border_lines(white[::-1], least_part))


def _border_lines(white: Mask, least_part: float) -> int:
    border = 0
    for line, part in enumerate(white[: int(_WIDEST_BORDER * len(white))].mean(axis=1)):
        if part >= least_part:
            border = line + 1
        elif line - border >= _LINES_BETWEEN:
            break
    return border + 1 if border else 0


def _breast(picture: NDArray[np.float32]) -> Mask:
    """Return the largest bright region that is no label, tape or border, without holes.

    Raises:
        UnsupportedMammogram: There is none.
    """
    radius = max(1, int(_OPENING_RADIUS * picture.shape[1]))
    # Mirrored at the edges, the breast stays whole there and lines along the edges stay thin.
    margin = (radius, radius, radius, radius)
    bright = cv2.copyMakeBorder(_bright(picture).view(np.uint8), *margin, cv2.BORDER_REFLECT)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, disc)
    count, regions, statistics, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count == 1:
        raise UnsupportedMammogram("No breast was found on the film: no large region is brighter than its background.")
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    others = (regions[radius:-radius, radius:-radius] != largest).astype(np.uint8)
    outside = cv2.copyMakeBorder(others, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(1,))
    cv2.floodFill(outside, None, (0, 0), (2,))
    return np.asarray(outside[1:-1, 1:-1] != 2)


def _bright(picture: NDArray[np.float32]) -> Mask:
    """Return where the picture is clearly brighter than its background, by Otsu's threshold of the square roots.

    Raises:
        UnsupportedMammogram: The picture has no contrast.
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), _BLUR)
    dark, bright = np.percentile(smooth, (_DARK, _BRIGHT))
    if bright <= dark:
        raise UnsupportedMammogram("The film has no contrast.")
    relative = np.clip((smooth - dark) / (bright - dark), 0, 1)
    roots = (np.sqrt(relative) * 255).astype(np.uint8)
    otsu, _ = cv2.threshold(roots, 0, 255, cv2.THRESH_OTSU)
    return np.asarray(relative > min((otsu / 255) ** 2, _LARGEST_THRESHOLD))


def _chest_wall(breast: Mask) -> int:
    """Return the first column of a breast that points right, or one close to it: films lie askew under the scanner."""
    first = breast.argmax(axis=1)[breast.any(axis=1)]
    return int(min(np.quantile(first, _ASKEW_ROWS), first.min() + _ASKEW * breast.shape[1]))


def _points_right(breast: Mask) -> bool:
    """Return whether the chest wall is on the left: the breast has a long straight edge there, and most of its area.

    The edge need not be that of the image, since film may have a margin beside the chest wall.

    Raises:
        UnsupportedMammogram: The two sides are too alike.
    """
    rows, columns = (np.flatnonzero(breast.any(axis=axis)) for axis in (1, 0))
    framed = breast[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    strip = max(2, int(_CHEST_WALL * framed.shape[1]))
    edges = [float(part.any(axis=1).mean()) for part in (framed[:, :strip], framed[:, -strip:])]
    half = framed.shape[1] // 2
    areas = [max(1, int(np.count_nonzero(part))) for part in (framed[:, :half], framed[:, -half:])]
    difference = edges[0] - edges[1] + np.log(areas[0] / areas[1]) / 2
    if abs(difference) < _LEAST_DIFFERENCE:
        raise UnsupportedMammogram("The film does not show which way the breast points: both sides look alike.")
    return bool(difference > 0)
