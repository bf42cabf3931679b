"""A model whose saliency is the brightness of a pixel, as a lower baseline and for evaluation without a network."""

from typing import Self

import numpy as np

from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.research.models.saliency_model import Opinion

_LEAST_FULL_SCALE = 4095


class ThresholdModel:
    """A model whose saliency is brightness relative to full scale, for both classes; the score is its maximum."""

    def __init__(self, name: str = "brightness") -> None:
        self.name = name

    @classmethod
    def from_package(cls, package: ModelPackage, device: str) -> Self:  # noqa: ARG003 - runs anywhere
        """Return the model of a "threshold" package."""
        return cls(package.algorithm_name)

    def look(self, mammogram: Mammogram) -> Opinion:
        """Analyse one view; full scale is the smallest 2^n - 1, n >= 12, not below the brightest pixel."""
        brightest = int(mammogram.pixels.max(initial=0))
        saliency = mammogram.pixels.astype(np.float32) / np.float32(
            max(_LEAST_FULL_SCALE, 2 ** brightest.bit_length() - 1)
        )
        score = float(saliency.max(initial=0))
        return Opinion((score, score), np.stack([saliency, saliency]))
