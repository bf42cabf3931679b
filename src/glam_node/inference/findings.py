"""What a predictor found: per image two scores and any number of outlined findings, in source pixels."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glam_node.inference.mammogram import Laterality, ViewPosition


class FindingKind(StrEnum):
    """The two classes of GLAM; independent of each other, in the order of its channels."""

    BENIGN = "benign"
    MALIGNANT = "malignant"


CHANNELS = (FindingKind.BENIGN, FindingKind.MALIGNANT)
"""The kinds in the order of scores and maps."""


@dataclass(frozen=True, slots=True)
class AlgorithmIdentification:
    """Who found it: PS3.16 TID 4019, and what a reader must know to reproduce it."""

    algorithm_name: str
    algorithm_version: str
    weights_sha256: str
    trained: bool
    """False: the weights carry no knowledge, and every object and line of output must say UNTRAINED."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Thresholds and other settings of the package that decided what counts as a finding, as (name, value)."""


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One connected region of one class, as a mask cut to its bounding box."""

    kind: FindingKind
    score: float
    """Largest saliency inside the region, 0 to 1, not calibrated."""
    origin: tuple[int, int]
    """Row and column (zero-based, source image) of the mask's first pixel."""
    mask: NDArray[np.bool_]
    """Height x width of the bounding box; True where the finding is; never empty."""

    @property
    def pixel_count(self) -> int:
        """Number of source pixels in the finding."""
        return int(np.count_nonzero(self.mask))

    def full_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask on the source image's Rows x Columns."""
        full = np.zeros(shape, dtype=np.bool_)
        row, column = self.origin
        height, width = self.mask.shape
        full[row : row + height, column : column + width] = self.mask
        return full


@dataclass(frozen=True, slots=True, eq=False)
class SaliencyMap:
    """The saliency of each class that decided on the findings of an image, in cells of several pixels."""

    values: NDArray[np.uint8]
    """2 x height x width, in the order of CHANNELS; 255 means 1, so that a value is within 1/510."""
    step: int
    """Pixels of the source image along the side of a cell."""
    origin: tuple[int, int]
    """Row and column of the first cell's first pixel; negative where the cell begins outside the image."""
    box: tuple[int, int, int, int]
    """First row, first column, last row and last column (exclusive) of what the model saw; elsewhere it is 0."""

    def on_image(self, kind: FindingKind, shape: tuple[int, int], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The map of one class on the source image's Rows x Columns, 0 to 255."""
        return self.on_box(kind, (0, 0, *shape), dtype)

    def on_box(self, kind: FindingKind, box: tuple[int, int, int, int], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The same on a box of the source image: first row, first column, last row and last column (exclusive)."""
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
    """The cells that the pixels from `first` to `last` (exclusive) lie in, and where in them the first pixel is."""
    return slice(first // step, -(-last // step)), first % step


def quantised(saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Saliency from 0 to 1 in 255 steps."""
    steps: NDArray[np.uint8] = np.rint(saliency.clip(0, 1) * 255).astype(np.uint8)
    return steps


@dataclass(frozen=True, slots=True, eq=False)
class ImageFindings:
    """The result for one image; either scores and findings, or the reason why there are none."""

    sop_instance_uid: str
    image_laterality: Laterality
    view_position: ViewPosition
    shape: tuple[int, int]
    """Rows and Columns of the source image."""
    benign_score: float | None
    """0 to 1, not calibrated, independent of the other score; None when the image could not be analysed."""
    malignant_score: float | None
    """The same for the other class."""
    findings: tuple[Finding, ...] = ()
    failure: str | None = None
    """Why the image could not be analysed, in plain words; then both scores are None and findings is empty."""
    remarks: tuple[str, ...] = ()
    """What a reader should know although the image was analysed (orientation doubtful, tissue cut off ...)."""
    saliency: SaliencyMap | None = None
    """None where the image was not looked at closely, since every score lies under its operating point."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The result for one study: everything that the writers of results need beside the source images."""

    study_instance_uid: str
    algorithm: AlgorithmIdentification
    images: tuple[ImageFindings, ...]
    stage_seconds: tuple[tuple[str, float], ...] = field(default=())
    """Seconds spent in each stage of the analysis, as (stage, seconds); informative, never part of an object."""
