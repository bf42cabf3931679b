"""Losses of the baselines' training stages, on the same batches as GLAM's."""

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from glam_node.inference.training.baseline_networks import Cam, Gmic
from glam_node.inference.training.losses import bag_loss
from glam_node.inference.training.recipe import Recipe
from glam_node.inference.training.stages import Batch


class CamStage(nn.Module):
    """Cross-entropy of the averaged evidence; the map, its top values and its sparsity are not part of the loss."""

    def __init__(self, network: Cam, recipe: Recipe) -> None:  # noqa: ARG002 - as other stages are made
        super().__init__()
        self.network = network.global_network

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:  # noqa: ARG002 - as other stages are called
        """Return the scalar loss of the batch."""
        return binary_cross_entropy_with_logits(self.network.evidence(batch.inputs).mean(dim=(2, 3)), batch.labels)


class GmicLocalStage(nn.Module):
    """Cross-entropy of the aggregated patches."""

    def __init__(self, network: Gmic, recipe: Recipe) -> None:  # noqa: ARG002 - as other stages are made
        super().__init__()
        self.network = network.local_network

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:  # noqa: ARG002 - as other stages are called
        """Return the scalar loss of the batch."""
        return binary_cross_entropy_with_logits(self.network(batch.inputs, len(batch.labels)), batch.labels)


class GmicJointStage(nn.Module):
    """The sum of both losses; patches are proposed again in each step, without a gradient."""

    def __init__(self, network: Gmic, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe

    def forward(self, batch: Batch, top_fraction: float) -> Tensor:
        """Return the scalar loss of the batch."""
        saliency = self.network.global_network(batch.inputs).saliency
        logits = self.network.patch_logits(batch.inputs, saliency, self._recipe.patches_per_image)
        sparsity = self._recipe.joint_stage.sparsity
        seen = bag_loss(saliency, batch.labels, top_fraction, sparsity)
        return seen + binary_cross_entropy_with_logits(logits, batch.labels)
