"""The seam between the node and a model."""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, Self

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import AlgorithmIdentification, ImageFindings
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions
from glam_node.inference.package import ModelPackage


class Predictor(Protocol):
    """A model that is loaded once and then segments one study after another."""

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """Who finds; constant for the life of the predictor."""
        ...

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> Self:
        """Load a verified package on `device` ("cpu", "cuda", "cuda:1" ...), to run as `options` say where it can.

        Raises PackageMismatch when the package is for another predictor, DeviceUnavailable without such a device.
        """
        ...

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """One result per mammogram, in order; an image that cannot be analysed has `failure` set and harms no other.

        Raises DeviceUnavailable when the device is lost.
        """
        ...


def load_object(reference: str) -> Any:
    """The object that "module:name" points at; the only way in which the node reaches code that imports torch."""
    module_name, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PackageMismatch(f"{reference} cannot be loaded ({error}). Check inference.predictor.") from error


def load_predictor(reference: str, package: ModelPackage, device: str) -> Predictor:
    """The predictor class named by "module:Class", loaded with `package` on `device`."""
    predictor: Predictor = load_object(reference).from_package(package, device)
    return predictor
