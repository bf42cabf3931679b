"""A view for a screen in two layers: the grey image, and above it the stored segments."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from glam_node.inference.reading import read_mammogram
from glam_node.node.results.overlay import StoredSegment, resized, scale_to, white_of

_FILL, _OUTLINE = 72, 255
"""Opacity of the inside and of the outline of a segment, 0 to 255."""


def grey_layer(source: Dataset, *, maximum_height: int) -> Image.Image:
    """Return the image in 8 bits of grey, mirrored to hang as films do.

    Black is the image's 0. White is the value that only markers and clips exceed.

    Args:
        source: The image.
        maximum_height: The greatest height of the picture in pixels.

    Raises:
        UnsupportedMammogram: `source` cannot be decoded.
    """
    pixels = read_mammogram(source, None).pixels
    smaller = resized(pixels, scale_to(pixels.shape[0], maximum_height))
    shown = np.clip(smaller * np.float32(255.0 / white_of(pixels)), 0, 255).astype(np.uint8)
    return Image.fromarray(_hung(shown, source))


def segment_layer(segments: Iterable[StoredSegment], source: Dataset, *, maximum_height: int) -> Image.Image:
    """Return a picture with each segment tinted and outlined in its colour, transparent elsewhere.

    The layer has the size of the grey layer and is mirrored like it.

    Args:
        segments: The segments.
        source: The image that they belong to.
        maximum_height: The greatest height of the picture in pixels.
    """
    scale = scale_to(int(source.Rows), maximum_height)
    layer = np.zeros((*resized(np.zeros((source.Rows, source.Columns), np.uint8), scale).shape, 4), dtype=np.uint8)
    for segment in segments:
        mask = resized(segment.mask.view(np.uint8) * np.uint8(255), scale) > 127
        layer[mask] = (*segment.colour, _FILL)
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(layer, contours, -1, (*segment.colour, _OUTLINE), 2)
    return Image.fromarray(_hung(layer, source))


def is_mirrored_to_hang(source: Dataset) -> bool:
    """Return whether an image must be mirrored to hang as films do.

    A right breast then has its chest wall at the right, a left breast at the left. The first value of Patient
    Orientation states the direction of the rows (PS3.3 C.7.6.1.1.1).
    """
    orientation = source.get("PatientOrientation") or ["", ""]
    laterality = source.get("ImageLaterality") or source.get("Laterality") or ""
    return (laterality, str(orientation[0])[:1]) in {("R", "A"), ("L", "P")}


def _hung(picture: NDArray[np.uint8], source: Dataset) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, ::-1]) if is_mirrored_to_hang(source) else picture
