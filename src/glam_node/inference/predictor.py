"""The interface between the node and a model, and the loading of classes by name."""

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
        """The identification of the algorithm, which does not change while the predictor exists."""
        ...

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> Self:
        """Load a verified package on a device.

        Args:
            package: The package, as `read_package` returns it.
            device: "auto", "cpu", "cuda" or "cuda:N".
            options: How to run; a predictor ignores options that it does not know.

        Raises:
            PackageMismatch: The package is for another predictor.
            DeviceUnavailable: The device does not exist or has no free memory.
        """
        ...

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Return one result per mammogram, in order.

        The result of an image that cannot be analysed has `failure` set; the others are analysed all the same.

        Raises:
            DeviceUnavailable: The device was lost.
        """
        ...


def load_object(reference: str) -> Any:
    """Return the object that a "module:name" reference names.

    The node loads code that imports torch only in this way.

    Raises:
        PackageMismatch: The module or the object cannot be loaded.
    """
    module_name, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PackageMismatch(f"{reference} cannot be loaded ({error}). Check inference.predictor.") from error
