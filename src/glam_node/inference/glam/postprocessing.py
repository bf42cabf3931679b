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
    """The deciding saliency of one class, and whether it exceeds the threshold of the network that computed it."""

    saliency: NDArray[np.float32]
    positive: NDArray[np.bool_]


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
        evidence = _evidence(saliency, saliency.local_saliency, channel, point)
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


def _evidence(saliency: ViewSaliency, local: NDArray[np.float32], channel: int, point: OperatingPoint) -> _Evidence:
    """Return the evidence for one class on the window's pixels."""
    values, closely = decisive_saliency(saliency, local, channel)
    positive = np.where(closely, values > point.local_saliency_threshold, values > point.global_saliency_threshold)
    pixels = saliency.shape.local_step
    return _Evidence(replicate(values, pixels), replicate(positive, pixels))


def replicate(grid: NDArray[Scalar], factor: int) -> NDArray[Scalar]:
    """Repeat each value of a map as a square of `factor` x `factor`."""
    return grid.repeat(factor, axis=0).repeat(factor, axis=1)


def _regions(view: PreparedView, evidence: _Evidence, kind: FindingKind, minimum_area_px: int) -> list[Finding]:
    positive = view.geometry.invert(evidence.positive) & view.breast
    saliency = view.geometry.invert(evidence.saliency)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(positive.astype(np.uint8), connectivity=8)
    findings = []
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in boxes[label])
        if area < minimum_area_px:
            continue
        box = np.s_[top : top + height, left : left + width]
        mask = labels[box] == label
        findings.append(Finding(kind, float(saliency[box][mask].max()), (top, left), mask))
    return findings
