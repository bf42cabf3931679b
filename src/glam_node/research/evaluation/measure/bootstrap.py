"""95 % confidence intervals by resampling patients: all views of a patient are drawn together or not at all.

If a data set does not identify patients, studies are drawn instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)
# Number of floats processed at a time.
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % confidence interval; None for parts that cannot be estimated."""

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int = 0
    """Number of rows that the value was estimated from: images, breasts or studies."""


class Resamples:
    """Number of times that each patient is drawn in each of `count` resamples, which all estimates share."""

    def __init__(self, clusters: Sequence[str], count: int = RESAMPLES, seed: int = 1) -> None:
        self.seed = seed
        self._place = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
        patients = len(self._place)
        generator = np.random.default_rng(seed)
        drawn = (np.bincount(generator.integers(patients, size=patients), minlength=patients) for _ in range(count))
        self._times = np.array([np.minimum(times, 255).astype(np.uint8) for times in drawn]).reshape(count, patients)

    def estimate(self, statistic: Callable[[Values | None], Values], clusters: Sequence[str]) -> Estimate:
        """Return the value of `statistic` with the interval of its resamples.

        Args:
            statistic: Returns B values for B x N weights of the rows (None for weights of 1). Resamples with NaN, such
                as those with a single class, are left out.
            clusters: The patient of each row.
        """
        if not clusters:
            return Estimate(None)
        value = float(statistic(None)[0])
        rows = len(clusters)
        if np.isnan(value):
            return Estimate(None, count=rows)
        places = [self._place[cluster] for cluster in clusters]
        step = max(1, _CHUNK // len(places))
        chunks = range(0, len(self._times), step)
        resampled = [statistic(self._times[first : first + step][:, places].astype(np.float64)) for first in chunks]
        defined = np.concatenate(resampled) if resampled else np.empty(0)
        defined = defined[~np.isnan(defined)]
        if not defined.size:
            return Estimate(value, count=rows)
        low, high = np.percentile(defined, _PERCENTILES)
        return Estimate(value, float(low), float(high), rows)

    def mean(self, values: Sequence[float], clusters: Sequence[str]) -> Estimate:
        """Return the estimate of the mean of one value per row."""
        return self.ratio(values, [1.0] * len(values), clusters)

    def ratio(self, numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str]) -> Estimate:
        """Return the estimate of the sum of `numerators` over the sum of `denominators`, with one of each per row."""
        above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)

        def statistic(weights: Values | None) -> Values:
            drawn = np.ones((1, len(above))) if weights is None else weights
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(drawn @ above / (drawn @ below))

        return self.estimate(statistic, clusters)
