"""Platt scaling, which turns image scores into probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class PlattScale:
    """The calibration: probability = 1 / (1 + exp(-(slope x logit(score) + intercept)))."""

    slope: float
    intercept: float

    def apply(self, scores: Values) -> Values:
        """Return the probability for each of `scores`."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * logit(scores) + self.intercept))))


def logit(scores: Values) -> Values:
    """Return log(score / (1 - score)); scores are first limited to 1e-7 ... 1 - 1e-7."""
    clipped = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped / (1 - clipped)))
