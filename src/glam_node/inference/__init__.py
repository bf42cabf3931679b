"""Analysis of mammograms without a node; this package needs no network, database or queue.

Use it from your own program:

    from glam_node.inference import load_model, read_mammogram_file

    (image,) = load_model().segment([read_mammogram_file("view.dcm")])
    print(image.failure or (image.malignant_score, image.benign_score), *image.remarks)
    for finding in image.findings:
        print(finding.kind, round(finding.score, 3), finding.origin, finding.mask.shape)

Each public name is imported when it is first used, so importing this package is fast. Only the subpackage `glam`
imports torch. For research use only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glam_node.inference.card import ModelCard
    from glam_node.inference.errors import DeviceUnavailable, InferenceError, PackageMismatch, UnsupportedMammogram
    from glam_node.inference.findings import AlgorithmIdentification, Finding, FindingKind, Findings, ImageFindings
    from glam_node.inference.loading import load_model, read_file, read_mammogram_file
    from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
    from glam_node.inference.options import Measure, Precision, RunOptions, Runtime, Segment
    from glam_node.inference.package import ModelPackage, OperatingPoint, read_package, write_package
    from glam_node.inference.predictor import Predictor
    from glam_node.inference.reading import read_dataset, read_mammogram
    from glam_node.inference.study import SourceImage, segment_study

__all__ = [
    "AlgorithmIdentification",
    "DeviceUnavailable",
    "Finding",
    "FindingKind",
    "Findings",
    "ImageFindings",
    "InferenceError",
    "Laterality",
    "Mammogram",
    "Measure",
    "ModelCard",
    "ModelPackage",
    "OperatingPoint",
    "PackageMismatch",
    "Precision",
    "Predictor",
    "RunOptions",
    "Runtime",
    "Segment",
    "SourceImage",
    "UnsupportedMammogram",
    "ViewPosition",
    "load_model",
    "read_dataset",
    "read_file",
    "read_mammogram",
    "read_mammogram_file",
    "read_package",
    "segment_study",
    "write_package",
]

_MODULE_OF = {
    **dict.fromkeys(("DeviceUnavailable", "InferenceError", "PackageMismatch", "UnsupportedMammogram"), "errors"),
    **dict.fromkeys(("AlgorithmIdentification", "Finding", "FindingKind", "Findings", "ImageFindings"), "findings"),
    **dict.fromkeys(("load_model", "read_file", "read_mammogram_file"), "loading"),
    **dict.fromkeys(("Laterality", "Mammogram", "ViewPosition"), "mammogram"),
    **dict.fromkeys(("Measure", "Precision", "RunOptions", "Runtime", "Segment"), "options"),
    **dict.fromkeys(("ModelPackage", "OperatingPoint", "read_package", "write_package"), "package"),
    **dict.fromkeys(("read_dataset", "read_mammogram"), "reading"),
    **dict.fromkeys(("SourceImage", "segment_study"), "study"),
    "ModelCard": "card",
    "Predictor": "predictor",
}


def __getattr__(name: str) -> object:
    """Import and return the public name `name` from the module that defines it."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
