"""The model of a GLAM package for evaluation: the published saliency map, and the evidence for the node's findings.

This is the only module of evaluation that imports torch.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from glam_node.inference.card import ModelCard
from glam_node.inference.findings import CHANNELS
from glam_node.inference.glam.device import full_precision, resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam, GlamOutput
from glam_node.inference.glam.postprocessing import ViewSaliency, decisive_saliency, replicate
from glam_node.inference.glam.predictor import GlamParameters
from glam_node.inference.glam.preprocessing import PreparedView, prepare
from glam_node.inference.glam.weights import load_network
from glam_node.inference.guard import check_image
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.research.models.saliency_model import Evidence, Opinion


class GlamModel:
    """GLAM in float32; both networks run on every view that the node would analyse, whatever the global scores."""

    def __init__(
        self, name: str, network: Glam, device: torch.device, patches_per_image: int, card: ModelCard | None = None
    ) -> None:
        self._name = name
        self._network = network.to(device)
        self._device = device
        self._patches_per_image = patches_per_image
        self._card = card or ModelCard()

    @property
    def name(self) -> str:
        """Name of the model in tables and legends."""
        return self._name

    @classmethod
    def from_package(cls, package: ModelPackage, device: str) -> Self:
        """Load the model of a "glam" package on "cpu", "cuda", "cuda:N" or "auto".

        Raises:
            PackageMismatch: The weights are not those that the package states.
            DeviceUnavailable: The machine lacks the device.
        """
        parameters = GlamParameters.from_package(package)
        network = fold_for_inference(load_network(package))
        patches = parameters.patches_per_image
        return cls(package.algorithm_name, network, resolve_device(device), patches, package.card)

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return the scores, (local + global) / 2 as published, and the evidence for findings, on the image's pixels.

        Raises:
            UnsupportedMammogram: The node would also refuse the image.
        """
        check_image(mammogram, self._card)
        view = prepare(mammogram)
        with full_precision():
            window = torch.from_numpy(view.window)[None, None].to(self._device)
            output: GlamOutput = self._network(window, self._patches_per_image)
            fused = output.fused_saliency(0).cpu().numpy()
        # The weights of the maps add up to 1 except for rounding in float32.
        saliency = np.stack([view.geometry.invert(each) for each in fused]).clip(0, 1)
        scores = output.overview.scores[0].clamp(0, 1).tolist()
        return Opinion((scores[0], scores[1]), saliency, _evidence(view, output))


def _evidence(view: PreparedView, output: GlamOutput) -> Evidence:
    """Return the evidence on the image's pixels, 0 outside the breast, as `extract_findings` uses it."""
    local: NDArray[np.float32] = output.local_saliency[0].cpu().numpy()
    said = ViewSaliency(
        scores=(0.0, 0.0),
        global_saliency=output.overview.saliency[0].cpu().numpy(),
        patch_cells=output.patch_cells[0].cpu().numpy(),
        local_saliency=local,
        shape=output.shape,
    )
    saliency = np.zeros((len(CHANNELS), *view.breast.shape), dtype=np.float32)
    for channel in range(len(CHANNELS)):
        values, closely = decisive_saliency(said, local, channel)
        on_image = view.geometry.invert(replicate(values.clip(0, 1), output.shape.local_step))
        np.copyto(saliency[channel], on_image, where=view.breast)
    return Evidence(saliency, view.geometry.invert(replicate(closely, output.shape.local_step)))
