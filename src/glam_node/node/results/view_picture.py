"""Pictures of a view as it hangs, with its findings outlined; other results and pages are composed of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import AlgorithmIdentification, ImageFindings
from glam_node.inference.grey_scale import displayed_values
from glam_node.inference.guard import stated_pose
from glam_node.inference.mammogram import Laterality
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.outline import outline
from glam_node.node.results.sources import source_header
from glam_node.node.results.tracking import DISPLAY_RGB, TrackedFinding, tracked_findings

_FILL = 0.22
_TEXT_COLOUR = (235, 235, 235)
_LEAST_HEIGHT = 480
PANEL_HEIGHT = 800
"""The height in pixels of a view among other views."""
# A picture may be higher than requested by this factor, since each of its pixels is made from a whole number of pixels.
_STRETCH = 1.1
# Fractional bits of coordinates: OpenCV draws to sixteenths of a pixel.
_SHIFT = 4
_OPPOSITE = str.maketrans("APLRHF", "PARLFH")


@dataclass(frozen=True, slots=True)
class Hanging:
    """The way to turn a view so that it hangs as films do: head up, the nipple of a left breast pointing right."""

    mirrored: bool
    upside_down: bool

    @classmethod
    def of(cls, image: ImageFindings, header: Dataset) -> "Hanging":
        """Return how to turn an image by its Patient Orientation; no turn if that is absent or cannot be true."""
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
        """Return the turned pixels."""
        return pixels[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]

    def place(self, points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the coordinates of points in the turned picture.

        Args:
            points: Float array of shape (n, 2), column before row; the outer corner of the first pixel is (0, 0).
            shape: The shape of the picture, rows and columns first.

        Returns:
            Float array of shape (n, 2), column before row.
        """
        columns = shape[1] - points[:, 0] if self.mirrored else points[:, 0]
        rows = shape[0] - points[:, 1] if self.upside_down else points[:, 1]
        return np.stack([columns, rows], axis=1)

    def orientation(self, header: Dataset) -> list[str]:
        """Return Patient Orientation of the turned picture, or no values if the image has none."""
        run = [str(value) for value in header.get("PatientOrientation") or ()]
        turned = (self.mirrored, self.upside_down)
        return [value.translate(_OPPOSITE) if turn else value for value, turn in zip(run, turned, strict=bool(run))]


@dataclass(frozen=True, slots=True)
class ReducedView:
    """A grey view that is smaller than the image, or larger if the image is tiny."""

    pixels: NDArray[np.uint8]
    scale: float
    """Size of the view divided by the size of the image."""


ReadView = Callable[[str, int], ReducedView]
"""Function that returns the view with a SOP Instance UID as a workstation shows it, about as high as the given pixels.

The function raises UnsupportedMammogram if the image cannot be decoded.
"""


def reduced_view(dataset: Dataset, height: int) -> ReducedView:
    """Return the view of an image, at most a tenth higher than `height` in pixels.

    Raises:
        UnsupportedMammogram: The image cannot be decoded.
    """
    stored = stored_values(dataset)
    rows = stored.shape[0]
    factor = -(-rows // round(_STRETCH * height))
    pixels = displayed_values(dataset, stored, factor)
    enlarged = max(1, _LEAST_HEIGHT // rows)
    pixels = pixels.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    return ReducedView(pixels, enlarged / factor)


def hung_view(
    view: ReducedView,
    image: ImageFindings,
    source: Dataset,
    algorithm: AlgorithmIdentification,
    identity: ResultIdentity,
) -> Image.Image:
    """Return the view as it hangs, with its findings, and with its name where films show it.

    Args:
        view: The view of the image, from `reduced_view`.
        image: The findings of the image.
        source: The header of the image.
        algorithm: The algorithm that found the findings.
        identity: The device that writes the picture.
    """
    tracked = tracked_findings(image, algorithm, identity)
    picture = draw_findings(view, tracked, Hanging.of(image, source_header(source)))
    size = picture.height // 28
    font = text_font(size)
    right = picture.width - size // 2 - int(font.getlength(view_name(image)))
    left = right if image.image_laterality is Laterality.LEFT else size // 2
    ImageDraw.Draw(picture).text((left, size // 3), view_name(image), fill=_TEXT_COLOUR, font=font)
    return picture


@cache
def text_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of all texts in pictures."""
    return ImageFont.load_default(size)


def draw_findings(view: ReducedView, tracked: Iterable[TrackedFinding], hanging: Hanging) -> Image.Image:
    """Return the view as it hangs, with each finding tinted and outlined in the colour of its class."""
    turned = hanging.turned(view.pixels)
    canvas = cv2.cvtColor(np.ascontiguousarray(turned), cv2.COLOR_GRAY2RGB)
    for one in tracked:
        points = hanging.place(outline(one.finding) * view.scale, canvas.shape) - 0.5
        polygon = np.round(points * 2**_SHIFT).astype(np.int32)
        inside = np.zeros(canvas.shape[:2], dtype=np.uint8)
        cv2.fillPoly(inside, [polygon], (1,), shift=_SHIFT)
        colour = DISPLAY_RGB[one.finding.kind]
        region = inside.astype(np.bool_)
        canvas[region] = ((1 - _FILL) * canvas[region] + _FILL * np.array(colour)).astype(np.uint8)
        cv2.polylines(canvas, [polygon], True, colour, 2, cv2.LINE_AA, shift=_SHIFT)
    return Image.fromarray(canvas)
