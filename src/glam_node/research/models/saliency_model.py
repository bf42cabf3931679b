"""The interface of a model for evaluation, which returns scores and a saliency map."""

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
    """Saliency that decides on findings, from two sources with separate thresholds, if it is not the map itself."""

    saliency: Saliency
    """2 x Rows x Columns, 0 to 1; 0 where no finding is allowed."""
    closely: Mask
    """Rows x Columns: pixels read by the local network, where its threshold decides; elsewhere the global one does."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """Result of a model for one view; channel 0 is benign, channel 1 malignant."""

    scores: tuple[float, float]
    """Scores of the image, 0 to 1."""
    saliency: Saliency
    """2 x Rows x Columns of the source image, 0 to 1: the map that Dice and average precision are measured on."""
    evidence: Evidence | None = None
    """The evidence for findings; None if findings are where `saliency` exceeds one threshold."""


class SaliencyModel(Protocol):
    """A model that is loaded once and then analyses one view at a time."""

    @property
    def name(self) -> str:
        """Name of the model in tables and legends."""
        ...

    def look(self, mammogram: Mammogram) -> Opinion:
        """Analyse one view. Raises UnsupportedMammogram with the reason if the view cannot be analysed."""
        ...


def require_valid(opinion: Opinion, shape: tuple[int, int]) -> None:
    """Raise PackageMismatch if a model returned a wrong shape or values that are not 0 to 1."""
    maps = [("saliency", opinion.saliency), *([("evidence", opinion.evidence.saliency)] if opinion.evidence else [])]
    wanted = (len(CHANNELS), *shape)
    for name, values in maps:
        if values.shape != wanted or values.dtype != np.float32:
            raise PackageMismatch(f"The {name} is {values.dtype} {values.shape}, must be float32 {wanted}.")
        if not (values.min() >= 0 and values.max() <= 1):
            raise PackageMismatch(f"The {name} of the model has values that are not 0 to 1.")
    if not all(0 <= score <= 1 for score in opinion.scores):
        raise PackageMismatch(f"The scores of the model, {opinion.scores}, are not 0 to 1.")
