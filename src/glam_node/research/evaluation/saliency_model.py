"""The interface of a model for evaluation, which returns scores and a saliency map, and the loading of such models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import CHANNELS
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.inference.predictor import load_object

Saliency = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Saliency that decides on findings, from two sources with separate thresholds, if it is not the map itself."""

    saliency: Saliency
    """2 x Rows x Columns, 0 to 1; 0 where no finding is allowed."""
    closely: Mask
    """Rows x Columns: pixels read by the local network, where its threshold decides; elsewhere the global one does."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """Result of a model for one view; channel 0 is benign, channel 1 malignant."""

    scores: tuple[float, float]
    """Scores of the image, 0 to 1."""
    saliency: Saliency
    """2 x Rows x Columns of the source image, 0 to 1: the map that Dice and average precision are measured on."""
    evidence: Evidence | None = None
    """The evidence for findings; None if findings are where `saliency` exceeds one threshold."""


class SaliencyModel(Protocol):
    """A model that is loaded once and then analyses one view at a time."""

    @property
    def name(self) -> str:
        """Name of the model in tables and legends."""
        ...

    def look(self, mammogram: Mammogram) -> Opinion:
        """Analyse one view. Raises UnsupportedMammogram with the reason if the view cannot be analysed."""
        ...


def require_valid(opinion: Opinion, shape: tuple[int, int]) -> None:
    """Raise PackageMismatch if a model returned a wrong shape or values that are not 0 to 1."""
    maps = [("saliency", opinion.saliency), *([("evidence", opinion.evidence.saliency)] if opinion.evidence else [])]
    wanted = (len(CHANNELS), *shape)
    for name, values in maps:
        if values.shape != wanted or values.dtype != np.float32:
            raise PackageMismatch(f"The {name} is {values.dtype} {values.shape}, must be float32 {wanted}.")
        if not (values.min() >= 0 and values.max() <= 1):
            raise PackageMismatch(f"The {name} of the model has values that are not 0 to 1.")
    if not all(0 <= score <= 1 for score in opinion.scores):
        raise PackageMismatch(f"The scores of the model, {opinion.scores}, are not 0 to 1.")


# Model classes by a package's architecture; each has `from_package(package, device)`.
_MODELS = {
    "glam": "glam_node.research.evaluation.glam_model:GlamModel",
    "threshold": "glam_node.research.evaluation.threshold_model:ThresholdModel",
    "cam": "glam_node.research.training.baselines:CamModel",
    "gmic": "glam_node.research.training.baselines:GmicModel",
}


@dataclass(frozen=True, slots=True)
class Renamed:
    """A model under another name."""

    model: SaliencyModel
    name: str

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return the model's result."""
        return self.model.look(mammogram)


def load_models(packages: Sequence[ModelPackage], device: str) -> list[SaliencyModel]:
    """Load one model per package on `device`; models of the same name are numbered.

    Raises:
        PackageMismatch: The architecture of a package cannot be evaluated.
        DeviceUnavailable: The machine lacks the device.
    """
    models: list[SaliencyModel] = []
    for package in packages:
        if package.architecture not in _MODELS:
            raise PackageMismatch(
                f"{package.path} is a {package.architecture} package; {', '.join(_MODELS)} can be evaluated."
            )
        model: SaliencyModel = load_object(_MODELS[package.architecture]).from_package(package, device)
        namesakes = sum(other.name == model.name or other.name.startswith(f"{model.name} (") for other in models)
        models.append(Renamed(model, f"{model.name} ({namesakes + 1})") if namesakes else model)
    return models
