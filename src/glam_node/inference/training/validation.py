"""How good the network is by now, from image labels alone."""

from dataclasses import dataclass

import torch

from glam_node.inference.evaluation.ranking import Ranking
from glam_node.inference.findings import CHANNELS
from glam_node.inference.glam.network import GlamOutput
from glam_node.inference.training.baseline_networks import Learner
from glam_node.inference.training.samples import PreparedViews


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """What the validation views say."""

    auc: tuple[float, float]
    """ROC AUC of the image scores, benign and malignant; NaN where one label is missing."""
    output: GlamOutput
    """Of the last batch, for a picture."""
    inputs: torch.Tensor


@torch.no_grad()
def validate(network: Learner, views: PreparedViews, batch_size: int, patches: int, device: torch.device) -> Validated:
    """Looks at all `views` in float32 with the network as it is; leaves it in evaluation mode."""
    network.eval()
    scores = []
    for start in range(0, len(views), batch_size):
        inputs, _ = views.batch(torch.arange(start, min(start + batch_size, len(views))))
        overview = network.global_network(inputs.to(device))
        scores.append(overview.scores.cpu())
    output = network.look(inputs[-1:].to(device), patches)
    found = torch.cat(scores).numpy()
    rankings = (Ranking(found[:, channel], views.labels[:, channel] > 0) for channel in range(len(CHANNELS)))
    auc = [float(ranking.roc_auc()[0]) for ranking in rankings]
    return Validated((auc[0], auc[1]), output, inputs[-1:])
