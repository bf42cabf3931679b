"""Connected regions that count as findings, and the lesions that they hit."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glam_node.research.models.saliency_model import Opinion

Mask = NDArray[np.bool_]

LEAST_OVERLAP = 0.1
"""Least intersection over union of a region and a lesion that it hits."""
NEAREST_LESIONS = 0.01
"""Largest gap, as a part of the image's height, between parts of a mask that form one lesion."""
MOST_SCORES = 200
"""Largest number of region scores kept per image."""


@dataclass(frozen=True, slots=True)
class SaliencyThresholds:
    """Thresholds above which a pixel belongs to a finding; both are equal for a model with one source of evidence."""

    closely: float
    """Threshold for pixels that the local network read."""
    elsewhere: float


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of one class of one image, and the lesions that they hit."""

    scores: NDArray[np.float32]
    """The largest saliency of each region."""
    areas: NDArray[np.int64]
    """Number of pixels of each region."""
    hits: NDArray[np.bool_]
    """Regions x lesions: whether the region hits the lesion."""
    pixels_in_lesions: NDArray[np.int64]
    """Number of pixels of each region that lie in lesions."""

    @property
    def lesion_count(self) -> int:
        """Number of lesions of the class in the image."""
        return int(self.hits.shape[1])

    @property
    def best_scores(self) -> NDArray[np.float32]:
        """Score of the best region that hits each lesion; 0 if none does."""
        return np.asarray(np.where(self.hits, self.scores[:, None], 0).max(axis=0, initial=0), dtype=np.float32)

    def at_least(self, minimum_area_px: int) -> "Regions":
        """Return the regions of at least this area."""
        kept = self.areas >= minimum_area_px
        return Regions(self.scores[kept], self.areas[kept], self.hits[kept], self.pixels_in_lesions[kept])


def positive_pixels(opinion: Opinion, channel: int, thresholds: SaliencyThresholds) -> Mask:
    """Return the mask, Rows x Columns, of pixels above their threshold, regardless of the image's score."""
    if opinion.evidence is None:
        return np.asarray(opinion.saliency[channel] > thresholds.elsewhere)
    values = opinion.evidence.saliency[channel]
    closely = opinion.evidence.closely
    return np.asarray(np.where(closely, values > thresholds.closely, values > thresholds.elsewhere))


def find_regions(opinion: Opinion, channel: int, thresholds: SaliencyThresholds, lesion: Mask | None) -> Regions:
    """Find the 8-connected regions of one class; `lesion` is None if no lesion is outlined."""
    saliency = (opinion.evidence or opinion).saliency[channel]
    positive = positive_pixels(opinion, channel, thresholds)
    count, labels = _components(positive)
    scores = np.zeros(count, dtype=np.float32)
    found = labels[positive]
    np.maximum.at(scores, found, saliency[positive])
    areas = np.bincount(found, minlength=count)
    hits, inside = _hits(labels, count, areas, lesion)
    return Regions(scores[1:], areas[1:], hits, inside)


def _components(mask: Mask) -> tuple[int, NDArray[np.int32]]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return count, np.asarray(labels, dtype=np.int32)


def _lesions(mask: Mask) -> tuple[int, NDArray[np.int32]]:
    """Return the number of lesions plus one, and the lesion's number, from 1, of each pixel of `mask` row by row."""
    reach = round(NEAREST_LESIONS * mask.shape[0] / 2)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = 2 * reach + 1
    grown = cv2.dilate(np.pad(box, reach).astype(np.uint8), np.ones((side, side), dtype=np.uint8))
    count, labels = _components(grown > 0)
    return count, labels[reach : reach + box.shape[0], reach : reach + box.shape[1]][box]


def _hits(
    labels: NDArray[np.int32], count: int, areas: NDArray[np.int64], lesion: Mask | None
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    if lesion is None or not lesion.any():
        return np.zeros((count - 1, 0), dtype=np.bool_), np.zeros(count - 1, dtype=np.int64)
    lesion_count, lesion_labels = _lesions(lesion)
    pairs = labels[lesion] * lesion_count + lesion_labels
    common = np.bincount(pairs, minlength=count * lesion_count).reshape(count, lesion_count)
    lesion_areas = np.bincount(lesion_labels, minlength=lesion_count)
    union = areas[:, None] + lesion_areas - common
    overlapping = common >= LEAST_OVERLAP * np.maximum(union, 1)
    return overlapping[1:, 1:], common[1:].sum(axis=1)


def without_specks(mask: Mask, minimum_area_px: int) -> Mask:
    """Return `mask` without regions of fewer pixels."""
    count, labels = _components(mask)
    large = np.bincount(labels.ravel(), minlength=count) >= minimum_area_px
    large[0] = False
    return np.asarray(large[labels])
