"""Values that change during a stage, as functions of the completed part (0 to 1)."""

import math

from glam_node.inference.training.recipe import StageRecipe

_WARM_UP = 0.05
_LEAST_RATE = 0.02
_FALL = 0.3


def learning_rate(stage: StageRecipe, done: float) -> float:
    """Return the learning rate: a linear rise over the first 5 %, then half a cosine to 2 % of the stage's rate."""
    rise = min(1.0, done / _WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return stage.learning_rate * rise * (_LEAST_RATE + (1 - _LEAST_RATE) * cosine)


def top_fraction(stage: StageRecipe, done: float) -> float:
    """Return the fraction of pooled values in the loss, which falls to the final one over the first 30 % of the stage.

    A larger fraction lets the loss include lesions that the maps do not show yet.
    """
    if stage.initial_top_fraction <= stage.top_fraction or done >= _FALL:
        return stage.top_fraction
    return stage.initial_top_fraction + (stage.top_fraction - stage.initial_top_fraction) * done / _FALL
