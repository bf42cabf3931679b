"""Free-response ROC: lesions found against false positives per normal image, as the least score of a region falls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.evaluation.regions import Regions

RATES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""False positives per normal image at which sensitivity is tabulated."""


@dataclass(frozen=True, slots=True)
class FrocCurve:
    """Points of rising false positives, starting at no region at all."""

    false_positives_per_normal: tuple[float, ...]
    sensitivity: tuple[float, ...]
    """Share of all lesions that a region hits."""

    def sensitivity_at(self, rate: float) -> float:
        """The largest sensitivity with at most `rate` false positives per normal image."""
        reached = [y for x, y in zip(self.false_positives_per_normal, self.sensitivity, strict=True) if x <= rate]
        return max(reached)


def froc(normal: Sequence[Regions], with_lesions: Sequence[Regions]) -> FrocCurve | None:
    """The curve; None without a normal image or without a lesion."""
    lesions = sum(regions.lesion_count for regions in with_lesions)
    if not normal or not lesions:
        return None
    false = np.concatenate([regions.scores for regions in normal])
    best = np.concatenate([best_scores(regions) for regions in with_lesions])
    best = best[best > 0]
    thresholds = np.unique(np.concatenate([false, best]))[::-1]
    rates = _above(false, thresholds) / len(normal)
    sensitivities = _above(best, thresholds) / lesions
    return FrocCurve((0.0, *rates.tolist()), (0.0, *sensitivities.tolist()))


def best_scores(regions: Regions) -> NDArray[np.float32]:
    """Per lesion the score of the best region that hits it, 0 where none does."""
    return np.asarray(np.where(regions.hits, regions.scores[:, None], 0).max(axis=0, initial=0))


def _above(values: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many values reach each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")
