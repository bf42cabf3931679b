"""The results of a predictor: for each image two scores and any number of outlined findings, in source pixels."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glam_node.inference.mammogram import Laterality, ViewPosition


class FindingKind(StrEnum):
    """The two classes of GLAM, which are independent of each other, in the order of its channels."""

    BENIGN = "benign"
    MALIGNANT = "malignant"


CHANNELS = (FindingKind.BENIGN, FindingKind.MALIGNANT)
"""The kinds in the order of scores and maps."""


@dataclass(frozen=True, slots=True)
class AlgorithmIdentification:
    """The algorithm that made the findings (PS3.16 TID 4019), with everything that is needed to reproduce them."""

    algorithm_name: str
    algorithm_version: str
    weights_sha256: str
    trained: bool
    """Whether the weights were trained; False: every object and line of output must say UNTRAINED."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Thresholds and other values of the package that decided the findings, as (name, value)."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Finding:
    """One connected region of one class, as a mask cut to its bounding box."""

    kind: FindingKind
    score: float
    """The largest saliency inside the region, 0 to 1, not calibrated."""
    origin: tuple[int, int]
    """Row and column of the mask's first pixel in the source image, zero-based."""
    mask: NDArray[np.bool_]
    """Height x width of the bounding box; True inside the finding; at least one pixel is True."""

    @property
    def pixel_count(self) -> int:
        """The number of source pixels in the finding."""
        return int(np.count_nonzero(self.mask))

    def full_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask on the whole source image, whose Rows and Columns are `shape`."""
        full = np.zeros(shape, dtype=np.bool_)
        row, column = self.origin
        height, width = self.mask.shape
        full[row : row + height, column : column + width] = self.mask
        return full


@dataclass(frozen=True, slots=True, eq=False)
class SaliencyMap:
    """The saliency map of each class from which an image's findings were derived, in cells of several pixels."""

    values: NDArray[np.uint8]
    """2 x height x width, in the order of CHANNELS; 255 stands for 1, so a value is exact to 1/510."""
    step: int
    """The side of a cell in pixels of the source image."""
    origin: tuple[int, int]
    """Row and column of the first cell's first pixel; negative where the cell starts outside the image."""
    box: tuple[int, int, int, int]
    """First row, first column, last row and last column (exclusive) of the part that the model saw; 0 elsewhere."""

    def on_image(self, kind: FindingKind, shape: tuple[int, int], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return the map of one class, 0 to 255, on the whole source image, whose Rows and Columns are `shape`."""
        return self.on_box(kind, (0, 0, *shape), dtype)

    def on_box(self, kind: FindingKind, box: tuple[int, int, int, int], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return the map of one class, 0 to 255, on a box of the source image.

        Args:
            kind: The class.
            box: First row, first column, last row and last column (exclusive) in the source image.
            dtype: The dtype of the result.
        """
        pixels = np.zeros((box[2] - box[0], box[3] - box[1]), dtype=dtype)
        top, left = max(self.box[0], box[0]), max(self.box[1], box[1])
        bottom, right = min(self.box[2], box[2]), min(self.box[3], box[3])
        if top >= bottom or left >= right:
            return pixels
        rows, from_row = _cells(top - self.origin[0], bottom - self.origin[0], self.step)
        columns, from_column = _cells(left - self.origin[1], right - self.origin[1], self.step)
        cells = self.values[CHANNELS.index(kind), rows, columns].repeat(self.step, axis=1)
        lines = cells[:, from_column : from_column + right - left].astype(dtype)
        inside = pixels[top - box[0] : bottom - box[0], left - box[1] : right - box[1]]
        for number, line in enumerate(lines):
            first = max(0, number * self.step - from_row)
            inside[first : (number + 1) * self.step - from_row] = line
        return pixels


def _cells(first: int, last: int, step: int) -> tuple[slice, int]:
    """Return the cells that hold the pixels `first` to `last` (exclusive), and the offset of `first` in its cell."""
    return slice(first // step, -(-last // step)), first % step


def quantised(saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return saliency of 0 to 1 as whole numbers of 0 to 255; values outside the range are clipped."""
    steps: NDArray[np.uint8] = np.rint(saliency.clip(0, 1) * 255).astype(np.uint8)
    return steps


@dataclass(frozen=True, slots=True, eq=False)
class ImageFindings:
    """The result for one image: either scores and findings, or the reason why the image was not analysed."""

    sop_instance_uid: str
    image_laterality: Laterality
    view_position: ViewPosition
    shape: tuple[int, int]
    """Rows and Columns of the source image."""
    benign_score: float | None
    """Score of 0 to 1, not calibrated and independent of the other; None when the image could not be analysed."""
    malignant_score: float | None
    """Score of the malignant class, with the same range and meaning as `benign_score`."""
    findings: tuple[Finding, ...] = ()
    failure: str | None = None
    """The reason why the image could not be analysed; then both scores are None and `findings` is empty."""
    remarks: tuple[str, ...] = ()
    """Doubts about an image that was analysed (orientation unclear, tissue cut off ...), in plain words."""
    saliency: SaliencyMap | None = None
    """None if the image was not segmented because every score is below its operating point."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The result for one study; with the source images it is all that the result writers need."""

    study_instance_uid: str
    algorithm: AlgorithmIdentification
    images: tuple[ImageFindings, ...]
    stage_seconds: tuple[tuple[str, float], ...] = field(default=())
    """Seconds spent in each stage of the analysis, as (stage, seconds); never written to a DICOM object."""
