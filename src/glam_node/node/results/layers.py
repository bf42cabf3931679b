"""A view for a screen as two pictures that lie on each other: the grey image, and what stored segments say of it."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from glam_node.inference.reading import read_mammogram
from glam_node.node.results.overlay import StoredSegment, resized, scale_to, white_of

_FILL, _OUTLINE = 72, 255
"""Opacity of the inside and of the outline, of 255."""


def grey_layer(source: Dataset, *, maximum_height: int) -> Image.Image:
    """8 bits of grey, hung; black is the image's 0, white what nothing but markers outshines.

    Raises UnsupportedMammogram when `source` cannot be decoded.
    """
    pixels = read_mammogram(source, None).pixels
    smaller = resized(pixels, scale_to(pixels.shape[0], maximum_height))
    shown = np.clip(smaller * np.float32(255.0 / white_of(pixels)), 0, 255).astype(np.uint8)
    return Image.fromarray(_hung(shown, source))


def segment_layer(segments: Iterable[StoredSegment], source: Dataset, *, maximum_height: int) -> Image.Image:
    """Each segment tinted and outlined in its colour, transparent elsewhere, hung; as large as the grey layer."""
    scale = scale_to(int(source.Rows), maximum_height)
    layer = np.zeros((*resized(np.zeros((source.Rows, source.Columns), np.uint8), scale).shape, 4), dtype=np.uint8)
    for segment in segments:
        mask = resized(segment.mask.view(np.uint8) * np.uint8(255), scale) > 127
        layer[mask] = (*segment.colour, _FILL)
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(layer, contours, -1, (*segment.colour, _OUTLINE), 2)
    return Image.fromarray(_hung(layer, source))


def is_mirrored_to_hang(source: Dataset) -> bool:
    """Whether the image is turned over, to have the chest wall of a right breast at the right, of a left at the left.

    PS3.3 C.7.6.1.1.1: the first value of Patient Orientation says where rows run to.
    """
    orientation = source.get("PatientOrientation") or ["", ""]
    laterality = source.get("ImageLaterality") or source.get("Laterality") or ""
    return (laterality, str(orientation[0])[:1]) in {("R", "A"), ("L", "P")}


def _hung(picture: NDArray[np.uint8], source: Dataset) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, ::-1]) if is_mirrored_to_hang(source) else picture
