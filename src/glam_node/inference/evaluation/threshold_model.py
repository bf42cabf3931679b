"""The brightness of a pixel as its saliency: the least that a model must beat, and an evaluation without a network."""

from typing import Self

import numpy as np

from glam_node.inference.evaluation.model import Opinion
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage

_LEAST_FULL_SCALE = 4095


class ThresholdModel:
    """Saliency is brightness as a part of full scale for both classes; the score is its largest value."""

    def __init__(self, name: str = "brightness") -> None:
        self.name = name

    @classmethod
    def from_package(cls, package: ModelPackage, device: str) -> Self:  # noqa: ARG003 - runs anywhere
        """The model of a "threshold" package."""
        return cls(package.algorithm_name)

    def look(self, mammogram: Mammogram) -> Opinion:
        """Full scale is the least 2^n - 1, n >= 12, not below the brightest pixel."""
        brightest = int(mammogram.pixels.max(initial=0))
        saliency = mammogram.pixels.astype(np.float32) / np.float32(
            max(_LEAST_FULL_SCALE, 2 ** brightest.bit_length() - 1)
        )
        score = float(saliency.max(initial=0))
        return Opinion((score, score), np.stack([saliency, saliency]))
