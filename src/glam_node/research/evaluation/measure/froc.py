"""Free-response ROC: lesions found against false positives per normal image, by thresholds of a region score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.research.evaluation.measure.bootstrap import Values

RATES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""False positives per normal image at which sensitivity is tabulated."""

MOST_PER_NORMAL = 20
"""False positives per normal image at which the curve ends."""

Clustered = Sequence[tuple[str, NDArray[np.float32]]]
"""Pairs of the patient or study that a bootstrap draws as a whole, and the scores of one image."""


@dataclass(frozen=True, slots=True)
class FrocCurve:
    """Points in the order of rising false positives, from the one without any region."""

    false_positives_per_normal: tuple[float, ...]
    sensitivity: tuple[float, ...]
    """Share of all lesions that are hit by a region."""


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """Rows of false regions on normal images, of lesions, and of normal images, with the highest score first."""

    clusters: tuple[str, ...]
    """The cluster of each row."""
    false: Values
    """1 in the rows of regions on normal images."""
    hit: Values
    """1 in the row of a lesion that a region hits; its score is that of the best such region."""
    lesion: Values
    """1 in the rows of lesions, hit or not."""
    normal: Values
    """1 in the rows of normal images."""
    starts: NDArray[np.intp]
    """First row of each group of equal scores."""

    def points(self, weights: Values | None = None) -> tuple[Values, Values]:
        """Return false positives per normal image and sensitivity, B x groups each, for B x rows weights.

        Without weights, each row counts once.
        """
        drawn = np.ones((1, len(self.clusters))) if weights is None else weights
        counts = [np.add.reduceat(drawn * each, self.starts, axis=1).cumsum(axis=1) for each in (self.false, self.hit)]
        totals = [(drawn @ each)[:, None] for each in (self.normal, self.lesion)]
        with np.errstate(invalid="ignore", divide="ignore"):
            rates, sensitivities = (count / total for count, total in zip(counts, totals, strict=True))
        return rates, sensitivities

    def sensitivity_at(self, rate: float) -> Callable[[Values | None], Values]:
        """Return a statistic for a bootstrap: the largest sensitivity at `rate` false positives per normal image."""

        def statistic(weights: Values | None) -> Values:
            rates, sensitivities = self.points(weights)
            defined = np.isfinite(rates[:, -1]) & np.isfinite(sensitivities[:, -1])
            reached = np.where(rates <= rate, sensitivities, 0).max(axis=1)
            return np.asarray(np.where(defined, reached, np.nan))

        return statistic

    @property
    def curve(self) -> FrocCurve:
        """All points of the curve."""
        rates, sensitivities = self.points()
        return FrocCurve((0.0, *rates[0].tolist()), (0.0, *sensitivities[0].tolist()))


def froc(normal: Clustered, with_lesions: Clustered) -> Froc | None:
    """Collect the curve's rows from the region scores of normal images and the best hits of lesions.

    Scores below that of the false region that reaches 20 per normal image count as 0.

    Args:
        normal: Scores of the regions of each normal image.
        with_lesions: For each lesion of an image, the score of the best region that hits it; 0 if none does.

    Returns:
        None without a normal image or without a lesion.
    """
    lesions = [(cluster, float(score)) for cluster, scores in with_lesions for score in scores]
    if not normal or not lesions:
        return None
    false = sorted(((cluster, float(score)) for cluster, scores in normal for score in scores), key=lambda row: -row[1])
    allowed = MOST_PER_NORMAL * len(normal)
    least = false[allowed][1] if len(false) > allowed else 0.0
    rows: list[_Row] = [(cluster, score, True, False, False, False) for cluster, score in false[:allowed]]
    rows += [(cluster, score, False, score > least, True, False) for cluster, score in lesions]
    rows += [(cluster, 0.0, False, False, False, True) for cluster, _ in normal]
    rows.sort(key=lambda row: -row[1])
    false_region, hit, lesion, image = np.array([row[2:] for row in rows], dtype=np.float64).T
    starts = np.flatnonzero(np.diff([row[1] for row in rows], prepend=np.inf))
    return Froc(tuple(row[0] for row in rows), false_region, hit, lesion, image, starts)


_Row = tuple[str, float, bool, bool, bool, bool]
"""Cluster, score, and whether the row is a false region, a hit lesion, a lesion, a normal image."""
