"""Findings from saliency with full-size arrays: maps spread over the window's pixels, regions labelled on the image."""

import cv2
import numpy as np

from glam_node.inference.findings import CHANNELS, Finding, FindingKind
from glam_node.inference.glam.postprocessing import ViewSaliency, decisive_saliency, replicate
from glam_node.inference.glam.preprocessing import PreparedView
from glam_node.inference.package import OperatingPoint


def findings_of(
    view: PreparedView, saliency: ViewSaliency, points: dict[FindingKind, OperatingPoint], maximum: int
) -> list[Finding]:
    """Return the findings of each class, highest scores first; every class must be positive."""
    findings: list[Finding] = []
    for channel, kind in enumerate(CHANNELS):
        assert saliency.local_saliency is not None
        values, closely = decisive_saliency(saliency, saliency.local_saliency, channel)
        point, step = points[kind], saliency.shape.local_step
        local, overall = point.local_saliency_threshold, point.global_saliency_threshold
        exceeds = np.where(closely, values > local, values > overall)
        positive = view.geometry.invert(replicate(exceeds, step)) & view.breast
        found = _regions(positive, view.geometry.invert(replicate(values, step)), kind, point.minimum_area_px)
        findings += sorted(found, key=lambda finding: -finding.score)[:maximum]
    return findings


def _regions(positive: np.ndarray, saliency: np.ndarray, kind: FindingKind, minimum_area_px: int) -> list[Finding]:
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(positive.astype(np.uint8), connectivity=8)
    findings = []
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in boxes[label])
        if area >= minimum_area_px:
            box = np.s_[top : top + height, left : left + width]
            mask = labels[box] == label
            findings.append(Finding(kind, float(saliency[box][mask].max()), (top, left), mask))
    return findings
