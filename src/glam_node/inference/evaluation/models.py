"""Loading of packages as models for evaluation; modules that import torch are loaded by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.evaluation.model import Opinion, SaliencyModel
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import ModelPackage
from glam_node.inference.predictor import load_object

# Model classes by a package's architecture; each has `from_package(package, device)`.
_MODELS = {
    "glam": "glam_node.inference.evaluation.glam_model:GlamModel",
    "threshold": "glam_node.inference.evaluation.threshold_model:ThresholdModel",
    "cam": "glam_node.inference.training.baselines:CamModel",
    "gmic": "glam_node.inference.training.baselines:GmicModel",
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
