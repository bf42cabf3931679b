"""Models of the baselines' packages for evaluation; the node does not run them."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from glam_node.inference.card import ModelCard
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.device import full_precision, resolve_device
from glam_node.inference.glam.network import GlobalOutput
from glam_node.inference.glam.postprocessing import replicate
from glam_node.inference.glam.predictor import GlamParameters
from glam_node.inference.glam.preprocessing import prepare
from glam_node.inference.glam.shape import NetworkShape, shape_from_table
from glam_node.inference.guard import check_image
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.research.models.networks import Cam, Gmic, reduced
from glam_node.research.models.saliency_model import Evidence, Opinion


class BaselineModel(ABC):
    """A baseline in float32 that reads the same input as GLAM."""

    def __init__(
        self, name: str, network: Cam | Gmic, device: torch.device, patches_per_image: int, card: ModelCard
    ) -> None:
        self.name = name
        self._network = network.to(device)
        self._device = device
        self._patches_per_image = patches_per_image
        self._card = card

    @staticmethod
    @abstractmethod
    def new_network(shape: NetworkShape) -> Cam | Gmic:
        """Return the network of this baseline before its weights are loaded."""

    @classmethod
    def from_package(cls, package: ModelPackage, device: str) -> Self:
        """Load the model of `package` on "cpu", "cuda", "cuda:N" or "auto".

        Raises:
            PackageMismatch: The weights do not fit the package.
            DeviceUnavailable: The machine lacks the device.
        """
        patches = GlamParameters.from_package(package).patches_per_image
        resolved = resolve_device(device)
        try:
            network = cls.new_network(shape_from_table(package.shape))
            network.load_state_dict(load_file(package.weights_path), strict=True)
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise PackageMismatch(f"{package.path} does not hold a {package.architecture} network: {error}") from error
        return cls(package.algorithm_name, network.eval().requires_grad_(False), resolved, patches, package.card)

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return scores and map; findings lie where the map within the breast exceeds one threshold.

        Raises:
            UnsupportedMammogram: The node would also refuse the image.
        """
        check_image(mammogram, self._card)
        view = prepare(mammogram)
        shape = self._network.shape
        with full_precision():
            inputs = torch.from_numpy(reduced(view.window, shape.reduction))[None, None].to(self._device)
            overview: GlobalOutput = self._network.look(inputs, self._patches_per_image).overview
            maps = overview.saliency[0].clamp(0, 1).cpu().numpy()
            scores = overview.scores[0].clamp(0, 1).tolist()
        saliency = np.stack([view.geometry.invert(replicate(each, shape.cell)) for each in maps])
        within = np.where(view.breast, saliency, np.float32(0))
        nowhere = np.zeros(view.breast.shape, dtype=np.bool_)
        return Opinion((scores[0], scores[1]), saliency, Evidence(within, nowhere))


class CamModel(BaselineModel):
    """The model of class activation maps."""

    @staticmethod
    def new_network(shape: NetworkShape) -> Cam:
        """Return a network of `shape`, of which only the global part is used."""
        return Cam(shape)


class GmicModel(BaselineModel):
    """The model of one global map and patches aggregated by attention."""

    @staticmethod
    def new_network(shape: NetworkShape) -> Gmic:
        """Return a network of `shape`."""
        return Gmic(shape)
