"""Predictors with findings that one of the result writers cannot write."""

from collections.abc import Sequence
from dataclasses import replace

from glam_node.inference.findings import ImageFindings
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.threshold import ThresholdPredictor


class OneOddMapPredictor(ThresholdPredictor):
    """A predictor whose saliency map of L CC lacks the cell size, which the writer of parametric maps needs."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Return the findings of the threshold predictor with that map."""
        return [_odd(image) for image in super().segment(mammograms)]


def _odd(image: ImageFindings) -> ImageFindings:
    view = (image.image_laterality, image.view_position)
    if image.saliency is None or view != (Laterality.LEFT, ViewPosition.CC):
        return image
    return replace(image, saliency=replace(image.saliency, step=0))
