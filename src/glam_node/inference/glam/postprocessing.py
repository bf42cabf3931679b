"""Extraction of findings from saliency: connected regions on the source image, inside the breast.

Local saliency decides inside the proposed patches and global saliency elsewhere, each by its own threshold. The
published fused map is not used: it is halved outside the patches, so a threshold on it would outline the patch.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import CHANNELS, Finding, FindingKind, SaliencyMap, quantised
from glam_node.inference.glam.preprocessing import PreparedView
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape
from glam_node.inference.package import OperatingPoint

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class ViewSaliency:
    """Result of the network for one view."""

    scores: tuple[float, float]
    global_saliency: NDArray[np.float32]
    """Shape 2 x 184 x 120."""
    patch_cells: NDArray[np.int64]
    """Shape k x 2: first row and column of each patch, in cells of the global map."""
    local_saliency: NDArray[np.float32] | None
    """Shape k x 2 x 128 x 128; None if the local network was not run because every class is negative."""
    shape: NetworkShape = PUBLISHED


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """The deciding saliency of one class in cells, turned as the image is stored."""

    saliency: NDArray[np.float32]
    positive: NDArray[np.bool_]
    """Whether the saliency exceeds the threshold of the network that computed it."""
    step: int
    """The side of a cell in pixels."""
    origin: tuple[int, int]
    """Row and column of the first cell's first pixel in the image."""

    def box_of_positives(self, seen: tuple[slice, slice]) -> tuple[slice, slice] | None:
        """Return the smallest box of pixels around the positive cells, within what the model saw; None without any."""
        box = []
        for axis, first, limits in zip((1, 0), self.origin, seen, strict=True):
            lines = np.flatnonzero(self.positive.any(axis=axis)) * self.step + first
            lines = lines[(lines + self.step > limits.start) & (lines < limits.stop)]
            if lines.size == 0:
                return None
            box.append(slice(max(int(lines[0]), limits.start), min(int(lines[-1]) + self.step, limits.stop)))
        return box[0], box[1]

    def on_pixels(self, cells: NDArray[Scalar], box: tuple[slice, slice]) -> NDArray[Scalar]:
        """Return the pixels of a box of the image, each with the value of its cell."""
        spans = [slice(side.start - first, side.stop - first) for side, first in zip(box, self.origin, strict=True)]
        rows, columns = (slice(span.start // self.step, -(-span.stop // self.step)) for span in spans)
        pixels = replicate(cells[rows, columns], self.step)
        down, right = spans[0].start % self.step, spans[1].start % self.step
        height, width = (span.stop - span.start for span in spans)
        return pixels[down : down + height, right : right + width]


def is_positive(score: float, point: OperatingPoint | None) -> bool:
    """Return whether an image with this score may have findings of the class; False without an operating point."""
    return point is not None and score >= point.image_score_threshold


def extract_findings(
    view: PreparedView,
    saliency: ViewSaliency,
    operating_points: dict[FindingKind, OperatingPoint],
    maximum_per_class: int,
) -> tuple[Finding, ...]:
    """Return the findings of every class whose image score reaches its threshold, highest scores of a class first."""
    findings: list[Finding] = []
    for channel, kind in enumerate(CHANNELS):
        point = operating_points.get(kind)
        if point is None or saliency.local_saliency is None or not is_positive(saliency.scores[channel], point):
            continue
        evidence = _evidence(view, saliency, saliency.local_saliency, channel, point)
        found = _regions(view, evidence, kind, point.minimum_area_px)
        findings += sorted(found, key=lambda finding: -finding.score)[:maximum_per_class]
    return tuple(findings)


def decisive_saliency(
    saliency: ViewSaliency, local: NDArray[np.float32], channel: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the deciding saliency of one class, and a mask of the places where it is local saliency.

    Later patches cover earlier ones. Both arrays have one value per `local_step` window pixels.
    """
    steps = saliency.shape.cell // saliency.shape.local_step
    values = replicate(saliency.global_saliency[channel], steps)
    closely = np.zeros(values.shape, dtype=np.bool_)
    for (row, column), patch in zip((saliency.patch_cells * steps).tolist(), local[:, channel], strict=True):
        square = np.s_[row : row + patch.shape[0], column : column + patch.shape[1]]
        values[square] = patch
        closely[square] = True
    return values, closely


def map_of(view: PreparedView, saliency: ViewSaliency) -> SaliencyMap | None:
    """Return the deciding saliency on the source image; None if the local network was not run."""
    if saliency.local_saliency is None:
        return None
    maps = [decisive_saliency(saliency, saliency.local_saliency, channel)[0] for channel in range(len(CHANNELS))]
    return view.geometry.map_on_source(quantised(np.stack(maps)), saliency.shape.local_step)


def _evidence(
    view: PreparedView, saliency: ViewSaliency, local: NDArray[np.float32], channel: int, point: OperatingPoint
) -> _Evidence:
    """Return the evidence for one class."""
    values, closely = decisive_saliency(saliency, local, channel)
    positive = np.where(closely, values > point.local_saliency_threshold, values > point.global_saliency_threshold)
    step = saliency.shape.local_step
    turned, origin = view.geometry.cells_on_source(np.asarray(positive), step)
    return _Evidence(view.geometry.cells_on_source(values, step)[0], turned, step, origin)


def replicate(grid: NDArray[Scalar], factor: int) -> NDArray[Scalar]:
    """Repeat each value of a map as a square of `factor` x `factor`."""
    return grid.repeat(factor, axis=0).repeat(factor, axis=1)


def _regions(view: PreparedView, evidence: _Evidence, kind: FindingKind, minimum_area_px: int) -> list[Finding]:
    """Return the connected regions of positive pixels within the breast, from top to bottom."""
    box = evidence.box_of_positives(view.geometry.stored_box)
    if box is None:
        return []
    top, left = box[0].start, box[1].start
    positive = evidence.on_pixels(evidence.positive, box) & view.breast[box]
    # OpenCV numbers regions by squares of two pixels: even corners keep the order that they have in the whole image.
    padded = np.pad(positive.view(np.uint8), ((top % 2, 0), (left % 2, 0)))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    labels = labels[top % 2 :, left % 2 :]
    findings = []
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in boxes[label])
        if area < minimum_area_px:
            continue
        row, column = y - top % 2, x - left % 2
        mask = labels[row : row + height, column : column + width] == label
        place = np.s_[top + row : top + row + height, left + column : left + column + width]
        score = float(evidence.on_pixels(evidence.saliency, place)[mask].max())
        findings.append(Finding(kind, score, (top + row, left + column), mask))
    return findings
