"""What is measured of one test view with everything frozen; ten kilobytes are kept where there is a lesion."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from glam_node.inference.datasets.labelled import LabelledView, Masks
from glam_node.inference.evaluation.levels import PixelCounts
from glam_node.inference.evaluation.model import CHANNELS, Opinion
from glam_node.inference.evaluation.overlap import Overlap, measure_overlap
from glam_node.inference.evaluation.regions import (
    Mask,
    Regions,
    SaliencyThresholds,
    find_regions,
    positive_pixels,
    without_specks,
)
from glam_node.inference.evaluation.tuning import ClassTuning
from glam_node.inference.findings import FindingKind
from glam_node.inference.package import OperatingPoint


@dataclass(frozen=True, slots=True, eq=False)
class ClassRow:
    """One class of one test view."""

    score: float
    overlap: Overlap | None
    """None where no lesion of the class is outlined."""
    regions: Regions | None
    """Of the operating point's thresholds and least area, whatever the score; None without an operating point."""
    passes: bool
    """Whether the score lets the node report the regions."""
    finding_dice: float | None
    """Of the findings that the node would report; None where no lesion is outlined or no operating point is there."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageRow:
    """One test view."""

    view: LabelledView
    classes: Mapping[FindingKind, ClassRow]

    @property
    def scores(self) -> tuple[float, ...]:
        """In the order of the channels."""
        return tuple(self.classes[kind].score for kind in CHANNELS)


@dataclass(slots=True)
class Measurer:
    """Measures views of one model; the ranking of all pixels of all images with a lesion grows here."""

    tunings: tuple[ClassTuning, ...]
    pooled: dict[FindingKind, PixelCounts] = field(default_factory=dict)

    def __call__(self, view: LabelledView, opinion: Opinion, masks: Masks | None) -> ImageRow:
        """The row of one view."""
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
        score, point = opinion.scores[channel], tuning.point
        if point is None:
            return ClassRow(score, overlap, None, False, None)
        passes = score >= point.image_score_threshold
        regions = regions_of(opinion, channel, point, lesion)
        dice = None if outlined is None else _finding_dice(regions, passes, int(outlined.sum()))
        return ClassRow(score, overlap, regions, passes, dice)

    def _overlap(self, opinion: Opinion, channel: int, tuning: ClassTuning, lesion: Mask) -> Overlap:
        threshold = tuning.map_threshold.threshold if tuning.map_threshold else None
        overlap, counts = measure_overlap(opinion.saliency[channel], lesion, threshold)
        earlier = self.pooled.get(tuning.kind)
        self.pooled[tuning.kind] = earlier + counts if earlier else counts
        return overlap


def regions_of(opinion: Opinion, channel: int, point: OperatingPoint, lesion: Mask | None) -> Regions:
    """The regions that the operating point makes findings of, whatever the image's score."""
    thresholds = SaliencyThresholds(point.local_saliency_threshold, point.global_saliency_threshold)
    return find_regions(opinion, channel, thresholds, lesion).at_least(point.minimum_area_px)


def _finding_dice(regions: Regions, passes: bool, lesion_px: int) -> float:
    if not passes:
        return 0.0
    return float(2 * regions.pixels_in_lesions.sum() / (regions.areas.sum() + lesion_px))


def finding_mask(opinion: Opinion, channel: int, point: OperatingPoint) -> Mask:
    """Rows x Columns: the pixels of the findings that the node would report."""
    thresholds = SaliencyThresholds(point.local_saliency_threshold, point.global_saliency_threshold)
    if opinion.scores[channel] < point.image_score_threshold:
        return np.zeros(opinion.saliency.shape[1:], dtype=np.bool_)
    return without_specks(positive_pixels(opinion, channel, thresholds), point.minimum_area_px)
