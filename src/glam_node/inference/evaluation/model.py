"""What evaluation needs of a model: scores and a saliency map for one view after another."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import CHANNELS
from glam_node.inference.mammogram import Mammogram

Saliency = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What decides on findings when that is not the saliency map itself: two sources, each with its own threshold."""

    saliency: Saliency
    """2 x Rows x Columns, 0 to 1; 0 where no finding may be."""
    closely: Mask
    """Rows x Columns: where the local network looked, so that the local threshold decides; elsewhere the global one."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What a model says of one view; channel 0 is benign, channel 1 malignant."""

    scores: tuple[float, float]
    """Of the image, 0 to 1."""
    saliency: Saliency
    """2 x Rows x Columns of the source image, 0 to 1: the map that Dice and average precision are measured on."""
    evidence: Evidence | None = None
    """None: findings are where `saliency` exceeds one threshold."""


class SaliencyModel(Protocol):
    """A model that is loaded once and then looks at one view after another."""

    @property
    def name(self) -> str:
        """What tables and legends call it."""
        ...

    def look(self, mammogram: Mammogram) -> Opinion:
        """Its opinion on one view. Raises UnsupportedMammogram with the reason when it has none."""
        ...


def require_valid(opinion: Opinion, shape: tuple[int, int]) -> None:
    """Raises PackageMismatch when a model broke its promise: wrong shape, or values that are not 0 to 1."""
    maps = [("saliency", opinion.saliency), *([("evidence", opinion.evidence.saliency)] if opinion.evidence else [])]
    wanted = (len(CHANNELS), *shape)
    for name, values in maps:
        if values.shape != wanted or values.dtype != np.float32:
            raise PackageMismatch(f"The {name} is {values.dtype} {values.shape}, must be float32 {wanted}.")
        if not (values.min() >= 0 and values.max() <= 1):
            raise PackageMismatch(f"The {name} of the model has values that are not 0 to 1.")
    if not all(0 <= score <= 1 for score in opinion.scores):
        raise PackageMismatch(f"The scores of the model, {opinion.scores}, are not 0 to 1.")
