"""A view as it hangs, with its findings outlined: what secondary captures are put together from."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import ImageFindings
from glam_node.inference.grey_scale import displayed_values
from glam_node.inference.guard_orientation import stated_pose
from glam_node.inference.mammogram import Laterality
from glam_node.node.results.appearance import RGB
from glam_node.node.results.outline import outline
from glam_node.node.results.tracked import TrackedFinding

_FILL = 0.22
_LEAST_HEIGHT = 480
# A picture may be this much higher than asked: a whole number of pixels becomes one.
_STRETCH = 1.1
# Sixteenths of a pixel, the finest that OpenCV draws
_SHIFT = 4
_OPPOSITE = str.maketrans("APLRHF", "PARLFH")


@dataclass(frozen=True, slots=True)
class Hanging:
    """How a view is turned so that it hangs as films do: the nipple of the left breast points right, head up."""

    mirrored: bool
    upside_down: bool

    @classmethod
    def of(cls, image: ImageFindings, header: Dataset) -> "Hanging":
        """As Patient Orientation says; an image without, or with one that cannot be true, is left as it is."""
        orientation = header.get("PatientOrientation")
        stated = (str(orientation[0]), str(orientation[1])) if orientation else None
        try:
            pose = stated_pose(image.image_laterality, image.view_position, stated)
        except UnsupportedMammogram:
            pose = None
        if pose is None:
            return cls(mirrored=False, upside_down=False)
        return cls(pose.points_right != (image.image_laterality is Laterality.LEFT), pose.upside_down)

    def turned(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same pixels, turned."""
        return pixels[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]

    def place(self, points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Column and row of `points` in the turned picture of that shape; the first pixel's corner is (0, 0)."""
        columns = shape[1] - points[:, 0] if self.mirrored else points[:, 0]
        rows = shape[0] - points[:, 1] if self.upside_down else points[:, 1]
        return np.stack([columns, rows], axis=1)

    def orientation(self, header: Dataset) -> list[str]:
        """Patient Orientation of the turned picture; empty where the image has none."""
        run = [str(value) for value in header.get("PatientOrientation") or ()]
        turned = (self.mirrored, self.upside_down)
        return [value.translate(_OPPOSITE) if turn else value for value, turn in zip(run, turned, strict=bool(run))]


@dataclass(frozen=True, slots=True)
class ReducedView:
    """A view in grey, smaller (or, of a tiny image, larger) than it came."""

    pixels: NDArray[np.uint8]
    scale: float
    """Its size by that of the image."""


def reduced_view(dataset: Dataset, height: int) -> ReducedView:
    """The image in `dataset`, at most a tenth higher than `height`.

    Raises UnsupportedMammogram when it cannot be decoded.
    """
    stored = stored_values(dataset)
    rows = stored.shape[0]
    factor = -(-rows // round(_STRETCH * height))
    pixels = displayed_values(dataset, stored, factor)
    enlarged = max(1, _LEAST_HEIGHT // rows)
    pixels = pixels.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    return ReducedView(pixels, enlarged / factor)


def draw_findings(view: ReducedView, tracked: Iterable[TrackedFinding], hanging: Hanging) -> Image.Image:
    """The view as it hangs, with each finding tinted and outlined in the colour of its class."""
    turned = hanging.turned(view.pixels)
    canvas = np.ascontiguousarray(np.repeat(turned[..., np.newaxis], 3, axis=2))
    for one in tracked:
        points = hanging.place(outline(one.finding) * view.scale, canvas.shape) - 0.5
        polygon = np.round(points * 2**_SHIFT).astype(np.int32)
        inside = np.zeros(canvas.shape[:2], dtype=np.uint8)
        cv2.fillPoly(inside, [polygon], (1,), shift=_SHIFT)
        colour = RGB[one.finding.kind]
        region = inside.astype(np.bool_)
        canvas[region] = ((1 - _FILL) * canvas[region] + _FILL * np.array(colour)).astype(np.uint8)
        cv2.polylines(canvas, [polygon], True, colour, 2, cv2.LINE_AA, shift=_SHIFT)
    return Image.fromarray(canvas)
