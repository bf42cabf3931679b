"""Measurement of one test view with frozen thresholds; the measures of a view with a lesion take ten kilobytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.inference.package import OperatingPoint
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.evaluation.measure.levels import PixelCounts
from glam_node.research.evaluation.measure.overlap import Overlap, measure_overlap
from glam_node.research.evaluation.measure.regions import (
    MOST_SCORES,
    Mask,
    Regions,
    SaliencyThresholds,
    find_regions,
    positive_pixels,
    without_specks,
)
from glam_node.research.evaluation.measure.tuning import ClassTuning
from glam_node.research.models.saliency_model import Opinion


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The regions of one class of one view at the operating point, regardless of the image's score."""

    passes: bool
    """Whether the image's score lets the node report the regions."""
    count: int
    scores: NDArray[np.float32]
    """The highest region scores, at most 200."""
    lesion_scores: NDArray[np.float32]
    """For each lesion the score of the best region that hits it; 0 if none does."""
    dice: float | None
    """Dice of the findings that the node reports; None if no lesion is outlined."""

    @property
    def reported(self) -> int:
        """Number of findings that the node reports."""
        return self.count if self.passes else 0

    @property
    def lesions_hit(self) -> int:
        """Number of lesions that a finding hits."""
        return int((self.lesion_scores > 0).sum()) if self.passes else 0


@dataclass(frozen=True, slots=True, eq=False)
class ClassRow:
    """Measures of one class of one test view."""

    score: float
    overlap: Overlap | None
    """Overlap of map and lesion; None if no lesion of the class is outlined."""
    found: Found | None
    """Regions at the operating point; None without one."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageRow:
    """Measures of one test view."""

    view: LabelledView
    classes: Mapping[FindingKind, ClassRow]

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores in the order of the channels."""
        return tuple(self.classes[kind].score for kind in CHANNELS)


@dataclass(slots=True)
class Measurer:
    """Measures views of one model, and collects the ranking of all pixels of all images with a lesion."""

    tunings: tuple[ClassTuning, ...]
    pooled: dict[FindingKind, PixelCounts] = field(default_factory=dict)

    def __call__(self, view: LabelledView, opinion: Opinion, masks: Masks | None) -> ImageRow:
        """Measure one view."""
        return ImageRow(
            view,
            {
                each.kind: self._class_row(opinion, channel, each, masks[each.kind] if masks else None)
                for channel, each in enumerate(self.tunings)
            },
        )

    def _class_row(self, opinion: Opinion, channel: int, tuning: ClassTuning, lesion: Mask | None) -> ClassRow:
        outlined = lesion if lesion is not None and lesion.any() else None
        overlap = None if outlined is None else self._overlap(opinion, channel, tuning, outlined)
        found = None if tuning.point is None else _found(opinion, channel, tuning.point, lesion)
        return ClassRow(opinion.scores[channel], overlap, found)

    def _overlap(self, opinion: Opinion, channel: int, tuning: ClassTuning, lesion: Mask) -> Overlap:
        threshold = tuning.map_threshold.threshold if tuning.map_threshold else None
        overlap, counts = measure_overlap(opinion.saliency[channel], lesion, threshold)
        earlier = self.pooled.get(tuning.kind)
        self.pooled[tuning.kind] = earlier + counts if earlier else counts
        return overlap


def regions_of(opinion: Opinion, channel: int, point: OperatingPoint, lesion: Mask | None) -> Regions:
    """Return the regions at the operating point, regardless of the image's score."""
    thresholds = SaliencyThresholds(point.local_saliency_threshold, point.global_saliency_threshold)
    return find_regions(opinion, channel, thresholds, lesion).at_least(point.minimum_area_px)


def _found(opinion: Opinion, channel: int, point: OperatingPoint, lesion: Mask | None) -> Found:
    regions = regions_of(opinion, channel, point, lesion)
    passes = opinion.scores[channel] >= point.image_score_threshold
    lesion_px = 0 if lesion is None else int(lesion.sum())
    dice = 2 * regions.pixels_in_lesions.sum() / (regions.areas.sum() + lesion_px) if lesion_px and passes else 0.0
    return Found(
        passes=passes,
        count=len(regions.areas),
        scores=np.sort(regions.scores)[-MOST_SCORES:],
        lesion_scores=regions.best_scores,
        dice=float(dice) if lesion_px else None,
    )


def finding_mask(opinion: Opinion, channel: int, point: OperatingPoint) -> Mask:
    """Return the mask, Rows x Columns, of the findings that the node would report."""
    thresholds = SaliencyThresholds(point.local_saliency_threshold, point.global_saliency_threshold)
    if opinion.scores[channel] < point.image_score_threshold:
        return np.zeros(opinion.saliency.shape[1:], dtype=np.bool_)
    return without_specks(positive_pixels(opinion, channel, thresholds), point.minimum_area_px)
