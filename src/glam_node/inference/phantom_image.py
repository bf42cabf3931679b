"""Drawing of a synthetic mammogram's pixels: breast, pectoral muscle, gland and known lesions, from one seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import ViewPosition

MAXIMUM_VALUE = 4095
FIELD_HEIGHT_MM = 232.96
"""The height of the detector that the image covers: 3328 rows of 0.07 mm."""

_COARSE_ROWS = 832
_TISSUE_LIMIT = 2600.0
_LESION_LEVEL = {FindingKind.BENIGN: 3800.0, FindingKind.MALIGNANT: 3250.0}
_MASK_WEIGHT = 0.45
_LEAST_RADIUS_PX = 2.5
_HARMONICS = np.arange(2, 7)

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PhantomLesion:
    """One lesion of one breast, as one view shows it; lengths are fractions of the image's height."""

    kind: FindingKind
    seed: int
    radius: float
    depth: float
    """Position between chest wall (0) and nipple (1)."""
    height: float
    """Offset from the nipple's row; positive is down."""


Distract = Callable[[Image, int, NDArray[np.float64], Sequence[PhantomLesion], tuple[float, float]], None]


@dataclass(frozen=True, slots=True)
class _Anatomy:
    """Outlines of one view on a grid of pixels; the breast points right."""

    edge: NDArray[np.float64]
    """Distance of the skin from the chest wall in each row, in pixels."""
    muscle: NDArray[np.float64]
    """Distance of the pectoral muscle's edge from the chest wall in each row, in pixels."""
    nipple: tuple[float, float]
    """Row and column of the nipple, in fractions of the height."""


def render(
    seed: int,
    shape: tuple[int, int],
    view_position: ViewPosition,
    lesions: Sequence[PhantomLesion],
    distract: Distract | None = None,
) -> tuple[NDArray[np.uint16], dict[FindingKind, Mask]]:
    """Draw one view with the chest wall on the left.

    Args:
        seed: The seed of the exam and view.
        shape: Rows and Columns.
        view_position: CC or MLO.
        lesions: The lesions of the breast.
        distract: A function that draws structures that are not lesions, with the arguments of `add_distractors`.

    Returns:
        The image, 12 bits with background 0, and for each kind the mask of its lesions, both Rows x Columns.
    """
    generator = np.random.default_rng(seed)
    outline = _Outline.draw(generator, view_position, shape)
    image = _tissue(generator, outline, shape)
    edge = outline.at(shape[0]).edge
    inside = _inside(edge, shape)
    masks = {kind: np.zeros(shape, dtype=np.bool_) for kind in FindingKind}
    if distract is not None:
        distract(image, seed, edge, lesions, outline.nipple)
    for lesion in lesions:
        _add_lesion(image, masks[lesion.kind], lesion, outline.nipple)
    image += generator.standard_normal(shape, dtype=np.float32) * np.float32(20.0)
    np.clip(image, 1, MAXIMUM_VALUE, out=image)
    image[~inside] = 0
    return image.astype(np.uint16), {kind: mask & inside for kind, mask in masks.items()}


@dataclass(frozen=True, slots=True)
class _Outline:
    """The measures of one view's anatomy, in fractions of the image's height, independent of the grid."""

    view_position: ViewPosition
    centre: float
    half_height: float
    depth: float
    muscle_width: float

    @classmethod
    def draw(cls, generator: np.random.Generator, view_position: ViewPosition, shape: tuple[int, int]) -> "_Outline":
        """Draw at random a breast that fits into an image of `shape`, Rows and Columns."""
        centre, half_height, depth, muscle_width = generator.uniform((0.46, 0.3, 0.4, 0.24), (0.54, 0.36, 0.48, 0.3))
        widest = 0.85 * shape[1] / shape[0]
        return cls(view_position, centre, half_height, min(depth, widest), min(muscle_width, 0.6 * widest))

    @property
    def nipple(self) -> tuple[float, float]:
        """Row and column of the nipple, in fractions of the height."""
        return (self.centre if self.view_position is ViewPosition.CC else 0.6, self.depth)

    def at(self, rows: int) -> _Anatomy:
        """Return the outlines on a grid with this number of rows."""
        v = (np.arange(rows) + 0.5) / rows
        if self.view_position is ViewPosition.CC:
            profile = np.clip(1 - np.abs((v - self.centre) / self.half_height) ** 2.2, 0, None) ** 0.55
            muscle = np.zeros(rows)
        else:
            profile = _smooth(
                np.interp(
                    v,
                    (0, 0.15, 0.35, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 1),
                    (0.6, 0.62, 0.8, 0.96, 1, 0.96, 0.8, 0.52, 0.14, 0),
                )
            )
            muscle = self.muscle_width * np.clip(1 - v / 0.68, 0, None) ** 0.85
        nipple = 0.03 * np.exp(-(((v - self.nipple[0]) / 0.011) ** 4))
        edge = self.depth * (profile + nipple)
        return _Anatomy(edge * rows, muscle * rows, self.nipple)


def _smooth(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    sigma = len(profile) / 40
    smooth = cv2.GaussianBlur(profile[:, None], (1, 0), sigmaX=1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE)
    return smooth[:, 0].astype(np.float64)


def _inside(edge: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    return np.arange(shape[1])[None, :] < edge[:, None]


def _image(values: NDArray[Any]) -> Image:
    return np.asarray(values, dtype=np.float32)


def _tissue(generator: np.random.Generator, outline: _Outline, shape: tuple[int, int]) -> Image:
    """Draw everything except lesions and noise, on a coarse grid, since power-law texture has little fine detail."""
    factor = max(1, round(shape[0] / _COARSE_ROWS))
    coarse = (-(-shape[0] // factor), -(-shape[1] // factor))
    anatomy = outline.at(coarse[0])
    texture = _power_law(generator, coarse)
    image = 950 + 220 * texture + _gland(generator, anatomy, coarse, texture) + _ligaments(generator, coarse)
    image = image + _muscle(anatomy, coarse) * (1000 + 60 * texture)
    image = _TISSUE_LIMIT * np.tanh(image / _TISSUE_LIMIT)
    image = image * _compression(anatomy, coarse)
    return _image(cv2.resize(_image(image), shape[::-1], interpolation=cv2.INTER_CUBIC))


def _power_law(generator: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Return noise of zero mean and unit variance whose power falls as frequency to the third, like breast tissue's."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(generator.standard_normal(shape)) * frequency**-1.5
    noise = np.fft.irfft2(spectrum, shape)
    return _image(noise / max(float(noise.std()), 1e-9))


def _grid(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = shape
    return (np.arange(rows)[:, None] + 0.5) / rows, (np.arange(columns)[None, :] + 0.5) / rows


def _gland(generator: np.random.Generator, anatomy: _Anatomy, shape: tuple[int, int], texture: Image) -> Image:
    """Draw fibroglandular tissue: a cone behind the nipple, broken up by the texture."""
    v, u = _grid(shape)
    row, column = anatomy.nipple
    offset, density = generator.uniform((-0.04, 1300), (0.04, 1900))
    towards_nipple = np.clip(u / column, 0, 1)
    spread = 0.21 - 0.12 * towards_nipple
    cone = np.exp(-(np.abs((v - row - offset) / spread) ** 2.5)) * np.exp(-(np.abs((u / column - 0.55) / 0.36) ** 3))
    return _image(density * cone * (0.5 + 0.5 * np.tanh(1.8 * texture)))


def _ligaments(generator: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Draw thin bright strands: vessels and Cooper's ligaments."""
    canvas = np.zeros(shape, dtype=np.float32)
    rows, columns = shape
    for start, end, bend in zip(
        generator.uniform(0.05, 0.95, (28, 2)),
        generator.uniform(0.05, 0.95, (28, 2)),
        generator.normal(0, 0.12, (28, 2)),
        strict=True,
    ):
        t = np.linspace(0, 1, 24)[:, None]
        points = (start + (end - start) * t * 0.6 + bend * np.sin(np.pi * t)) * (columns, rows)
        cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, 1.0, 1, cv2.LINE_8, 4)
    return 420 * _image(cv2.GaussianBlur(canvas, (0, 0), 0.9))


def _muscle(anatomy: _Anatomy, shape: tuple[int, int]) -> Image:
    """Return the mask of the pectoral muscle, 1 inside and 0 outside, with a soft edge."""
    mask = _inside(anatomy.muscle, shape).astype(np.float32)
    return _image(cv2.GaussianBlur(mask, (0, 0), max(0.6, shape[0] / 280), borderType=cv2.BORDER_REPLICATE))


def _compression(anatomy: _Anatomy, shape: tuple[int, int]) -> Image:
    """Return the relative thickness of the tissue: thin at the rim, where the skin itself shows as a bright line."""
    inside = cv2.copyMakeBorder(_inside(anatomy.edge, shape).astype(np.uint8), 0, 0, 0, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[:, :-1] / shape[0]
    return _image(0.3 + 0.7 * (1 - np.exp(-depth / 0.022)) + 0.4 * np.exp(-((depth / 0.004) ** 2)))


def _add_lesion(image: Image, mask: Mask, lesion: PhantomLesion, nipple: tuple[float, float]) -> None:
    rows = image.shape[0]
    radius = max(lesion.radius * rows, _LEAST_RADIUS_PX)
    row, column = int((nipple[0] + lesion.height) * rows), int(nipple[1] * lesion.depth * rows)
    weight = _lesion_weight(lesion, radius, int(np.ceil(3.2 * radius)))
    region, weight = blend(image, weight, (row, column), _LESION_LEVEL[lesion.kind])
    mask[region] |= weight > _MASK_WEIGHT


def blend(image: Image, weight: Image, centre: tuple[int, int], level: float) -> tuple[tuple[slice, slice], Image]:
    """Blend a structure into `image`, in place.

    Args:
        image: Rows x Columns.
        weight: The weight of the structure in each pixel, 0 to 1; a square with an odd side around `centre`.
        centre: Row and column of the structure's centre in `image`.
        level: The brightness of the structure.

    Returns:
        The part of `image` that was changed, and the weights there.
    """
    (row, column), (rows, columns), reach = centre, image.shape, weight.shape[0] // 2
    top, left = max(row - reach, 0), max(column - reach, 0)
    region = np.s_[top : min(row + reach + 1, rows), left : min(column + reach + 1, columns)]
    part = image[region]
    weight = weight[top - row + reach :, left - column + reach :][: part.shape[0], : part.shape[1]]
    part += weight * (level - 0.9 * part)
    return region, weight


def _lesion_weight(lesion: PhantomLesion, radius: float, reach: int) -> Image:
    """Return the weight of a lesion, 0 outside to 1 inside, in the middle of a square with side 2 x reach + 1."""
    generator = np.random.default_rng(lesion.seed)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    roughness = 0.02 if lesion.kind is FindingKind.BENIGN else 0.09
    amplitudes, phases = generator.normal(0, roughness, 5), generator.uniform(0, 2 * np.pi, 5)
    rim = radius * (1 + np.cos(angle[..., None] * _HARMONICS + phases) @ amplitudes)
    dome = 1 - 0.25 * np.clip(distance / radius, 0, 1) ** 2
    if lesion.kind is FindingKind.BENIGN:
        weight = dome / (1 + np.exp(np.clip((distance - rim) / (0.06 * radius), -60, 60)))
        return _image(weight)
    spicules = _spicules(generator, radius, reach) * np.clip(1.15 - 0.3 * distance / radius, 0, 0.8)
    weight = np.maximum(dome * (distance < 0.75 * rim), spicules).astype(np.float32)
    return _image(cv2.GaussianBlur(weight, (0, 0), max(0.3, 0.05 * radius)))


def _spicules(generator: np.random.Generator, radius: float, reach: int) -> Image:
    """Draw tapering rays of unequal length from the centre, on a square with side 2 x reach + 1."""
    canvas = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    count = int(generator.integers(13, 19))
    angles = np.arange(count) * 2 * np.pi / count + generator.normal(0, 0.12, count)
    for angle, length in zip(angles, generator.uniform(1.4, 2.7, count) * radius, strict=True):
        along, across = np.array((np.cos(angle), np.sin(angle))), np.array((-np.sin(angle), np.cos(angle)))
        corners = np.stack((along * length, across * 0.16 * radius, -across * 0.16 * radius)) + reach
        cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 1.0, cv2.LINE_8, 4)
    return canvas
