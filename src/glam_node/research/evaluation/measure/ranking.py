"""ROC and precision-recall of scores, for one set of weights or for thousands at once as in a bootstrap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Ranking:
    """Rows in the order of their scores, highest first; rows with equal scores are tied."""

    def __init__(self, scores: Sequence[float] | Values, labels: Sequence[bool] | NDArray[np.bool_]) -> None:
        given = np.asarray(scores, dtype=np.float64)
        self._order = np.argsort(-given, kind="stable")
        ordered = given[self._order]
        self._positive = np.asarray(labels, dtype=bool)[self._order]
        self._starts = np.flatnonzero(np.diff(ordered, prepend=np.inf))
        self._thresholds = ordered[self._starts]

    @property
    def two_classes(self) -> bool:
        """Whether there are positive and negative rows; without both, areas are NaN."""
        return bool(self._positive.any() and not self._positive.all())

    def roc_auc(self, weights: Values | None = None) -> Values:
        """Return the area under the ROC curve (Mann-Whitney; ties count 1/2) for each row of `weights`, B x N.

        The area is NaN if only one class has weight.
        """
        positives, negatives = self._counts(weights)
        ahead = positives.cumsum(axis=1) - positives / 2
        with np.errstate(invalid="ignore"):
            return np.asarray((ahead * negatives).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1)))

    def pr_auc(self, weights: Values | None = None) -> Values:
        """Return the trapezoidal area under the precision-recall points from (0, 1); this is not average precision."""
        positives, negatives = self._counts(weights)
        hits, found = positives.cumsum(axis=1), (positives + negatives).cumsum(axis=1)
        precision = np.divide(hits, found, out=np.ones_like(hits), where=found > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = hits / hits[:, -1:]
        before = np.hstack([np.ones((len(hits), 1)), precision[:, :-1]])
        area = (np.diff(recall, axis=1, prepend=0) * (precision + before) / 2).sum(axis=1)
        area[negatives.sum(axis=1) == 0] = np.nan
        return np.asarray(area)

    def roc_points(self) -> Values:
        """Return false positive rate and sensitivity, K x 2, from (0, 0) to (1, 1)."""
        positives, negatives = self._counts(None)
        points = [each[0].cumsum() / each[0].sum() for each in (negatives, positives)]
        return np.vstack([[0.0, 0.0], np.stack(points, axis=1)])

    def pr_points(self) -> Values:
        """Return recall and precision, K x 2, from (0, 1)."""
        positives, negatives = self._counts(None)
        hits, found = positives[0].cumsum(), (positives + negatives)[0].cumsum()
        return np.vstack([[0.0, 1.0], np.stack([hits / hits[-1], hits / found], axis=1)])

    def _counts(self, weights: Values | None) -> tuple[Values, Values]:
        """Return the weights of the positives and of the negatives per group of tied rows, B x K each."""
        ordered = np.ones((1, len(self._order))) if weights is None else weights[:, self._order]
        positives = np.add.reduceat(ordered * self._positive, self._starts, axis=1)
        return positives, np.add.reduceat(ordered, self._starts, axis=1) - positives
