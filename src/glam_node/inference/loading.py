"""The functions that load a mammogram and a model by path, for programs that use this package without a node."""

from pathlib import Path

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions
from glam_node.inference.package import read_package
from glam_node.inference.predictor import Predictor
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindPolicy


def read_mammogram_file(path: str | Path, policy: KindPolicy | None = CONVENTIONAL_VIEWS) -> Mammogram:
    """Return the screening view in a DICOM file: uint16 pixels, bright is dense, background 0.

    Args:
        path: A DICOM file (PS3.10).
        policy: The kinds of image that may be read; None: any, as in `read_mammogram`.

    Raises:
        UnsupportedMammogram: The file does not hold such an image; the message is the reason.
        OSError: The file cannot be read.
    """
    return read_mammogram(read_dataset(Path(path)), policy)


read_file = read_mammogram_file
"""The former name of `read_mammogram_file`."""


def load_model(
    package: str | Path = DEFAULT_PACKAGE, device: str = "auto", options: RunOptions = REFERENCE_RUN
) -> Predictor:
    """Return the model in a model package, ready to `segment` mammograms.

    Args:
        package: The directory of the package; by default the demonstration package that ships with glam-node.
        device: "cpu", "cuda", "cuda:N" or "auto" (CUDA if there is a CUDA device, else the CPU).
        options: How to run: precision, library on a CPU, and the images to outline.

    Raises:
        PackageMismatch: The package is missing, damaged or of an unknown architecture.
        DeviceUnavailable: The device does not exist or has no free memory.
    """
    checked = read_package(Path(package))
    # Imported here, so that torch is imported only with a model that needs it.
    if checked.architecture == "glam":
        from glam_node.inference.glam.predictor import GlamPredictor

        return GlamPredictor.from_package(checked, device, options)
    if checked.architecture == "threshold":
        from glam_node.inference.threshold import ThresholdPredictor

        return ThresholdPredictor.from_package(checked, device, options)
    raise PackageMismatch(f"{package} has the architecture {checked.architecture}; known are glam and threshold.")
