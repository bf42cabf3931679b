"""Validation of the network during training, from image labels alone."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glam_node.inference.findings import CHANNELS
from glam_node.inference.glam.device import full_precision
from glam_node.inference.glam.network import GlamOutput
from glam_node.research.evaluation.measure.ranking import Ranking, Values
from glam_node.research.models.networks import Learner
from glam_node.research.training.samples import PreparedViews


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """Result of a validation."""

    auc: tuple[float, float]
    """ROC AUC of the image scores, benign and malignant; NaN if a label does not occur."""
    separation: tuple[float, float]
    """Mean score of the images with a label minus that of those without; NaN if a label does not occur."""
    output: GlamOutput
    """Output for the last batch, for a picture."""
    inputs: Tensor


def validate(network: Learner, views: PreparedViews, batch_size: int, patches: int, device: torch.device) -> Validated:
    """Run the current network on all `views` in float32, as inference does; leave it in evaluation mode."""
    network.eval()
    scores = []
    with full_precision():
        for start in range(0, len(views), batch_size):
            inputs, _ = views.batch(torch.arange(start, min(start + batch_size, len(views))))
            overview = network.global_network(inputs.to(device))
            scores.append(overview.scores.cpu())
        output = network.look(inputs[-1:].to(device), patches)
    found = torch.cat(scores).double().numpy()
    said = [_told_apart(found[:, channel], views.labels[:, channel] > 0) for channel in range(len(CHANNELS))]
    (auc, separation), (other_auc, other_separation) = said
    return Validated((auc, other_auc), (separation, other_separation), output, inputs[-1:])


def _told_apart(scores: Values, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return AUC and separation of one class."""
    ranking = Ranking(scores, labels)
    separation = scores[labels].mean() - scores[~labels].mean() if ranking.two_classes else math.nan
    return float(ranking.roc_auc()[0]), float(separation)
