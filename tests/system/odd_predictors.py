"""Predictors whose findings one writer cannot write."""

from collections.abc import Sequence
from dataclasses import replace

from glam_node.inference.findings import ImageFindings
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.threshold import ThresholdPredictor


class OneOddMapPredictor(ThresholdPredictor):
    """Gives L CC a saliency map without a size of its cells, which the writer of parametric maps cannot place."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Find what the threshold predictor does."""
        return [_odd(image) for image in super().segment(mammograms)]


def _odd(image: ImageFindings) -> ImageFindings:
    view = (image.image_laterality, image.view_position)
    if image.saliency is None or view != (Laterality.LEFT, ViewPosition.CC):
        return image
    return replace(image, saliency=replace(image.saliency, step=0))
