"""Masks of outlined lesions, from polygons, boxes, PNG files, DICOM images and segmentations."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.reading import read_dataset
from glam_node.research.datasets.labelled import Masks

Mask = NDArray[np.bool_]
Point = tuple[float, float]
"""Column and row; 0 is the centre of the first pixel."""

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR_CHANNELS = 3


def masks_of(shape: tuple[int, int], outlined: Iterable[tuple[FindingKind, Mask]]) -> Masks | None:
    """Return the union of the outlines of each kind; None if all are empty."""
    masks = {kind: np.zeros(shape, dtype=np.bool_) for kind in FindingKind}
    for kind, mask in outlined:
        masks[kind] |= mask
    return masks if any(mask.any() for mask in masks.values()) else None


def polygon_mask(points: Sequence[Point], shape: tuple[int, int]) -> Mask:
    """Return the pixels in and on the polygon; one or two points are drawn as a point or a line."""
    canvas = np.zeros(shape, dtype=np.uint8)
    cv2.fillPoly(canvas, [np.round(np.asarray(points)).astype(np.int32)], (1,))
    return canvas.astype(np.bool_)


def box_mask(corner: Point, opposite: Point, shape: tuple[int, int]) -> Mask:
    """Return the pixels between two corners, cut at the edges of the image."""
    (left, top), (right, bottom) = corner, opposite
    mask = np.zeros(shape, dtype=np.bool_)
    rows = slice(max(round(top), 0), max(round(bottom), 0))
    mask[rows, max(round(left), 0) : max(round(right), 0)] = True
    return mask


def read_mask(path: Path, shape: tuple[int, int]) -> Mask:
    """Read the non-zero pixels of a PNG file, a DICOM image or all segments of a DICOM segmentation.

    Raises:
        UnsupportedMammogram: The file is none of these, or its size is not `shape`.
        OSError: The disk fails.
    """
    with path.open("rb") as file:
        is_png = file.read(len(_PNG)) == _PNG
    mask = read_png(path).any(axis=2) if is_png else _dicom_mask(read_dataset(path))
    if mask.shape != shape:
        raise UnsupportedMammogram(f"The outline is {mask.shape} pixels, its image is {shape}.")
    return mask


def read_png(path: Path) -> NDArray[np.uint8 | np.uint16]:
    """Read a PNG file of 8 or 16 bits as Rows x Columns x channels (1 or 3; an alpha channel is dropped).

    Raises:
        UnsupportedMammogram: The file cannot be decoded.
        OSError: The disk fails.
    """
    encoded = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if decoded is None or decoded.dtype not in (np.uint8, np.uint16):
        raise UnsupportedMammogram("The PNG file is damaged.")
    return cast("NDArray[np.uint8 | np.uint16]", np.atleast_3d(decoded)[..., :_COLOUR_CHANNELS])


def _dicom_mask(dataset: Dataset) -> Mask:
    if dataset.get("Modality") != "SEG":
        return np.asarray(stored_values(dataset) & (2**dataset.BitsStored - 1) != 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames = pixel_array(dataset)
    except Exception as error:  # pydicom raises what its decoders raise
        raise UnsupportedMammogram(f"The segmentation cannot be decoded ({type(error).__name__}).") from error
    return np.asarray(frames.reshape(-1, *frames.shape[-2:]).any(axis=0))
