"""A mammogram and a model, each by its path: what a program of one's own begins with."""

from pathlib import Path

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import DEFAULT_PACKAGE, read_package
from glam_node.inference.predictor import Predictor, load_predictor
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindRules

# By name: torch is imported when a model that needs it is loaded, not before.
_PREDICTORS = {
    "glam": "glam_node.inference.glam.predictor:GlamPredictor",
    "threshold": "glam_node.inference.threshold:ThresholdPredictor",
}


def read_file(path: str | Path, rules: KindRules | None = CONVENTIONAL_VIEWS) -> Mammogram:
    """Return the screening view in the DICOM file at `path`: uint16 pixels, bright is dense, background 0.

    `rules` say which kinds of image may be read, None: any, as in `read_mammogram`. Raises UnsupportedMammogram with
    the reason when it is none of them, OSError when the file cannot be reached.
    """
    return read_mammogram(read_dataset(Path(path)), rules)


def load_model(package: str | Path = DEFAULT_PACKAGE, device: str = "auto") -> Predictor:
    """The model in directory `package`, the default one of this software when none is given, ready to `segment`.

    `device` is "cpu", "cuda", "cuda:N" or "auto" (CUDA where there is one). Raises PackageMismatch when the package is
    not what it says it is, DeviceUnavailable.
    """
    read = read_package(Path(package))
    if read.architecture not in _PREDICTORS:
        raise PackageMismatch(
            f"{package} has the architecture {read.architecture}; known are {', '.join(_PREDICTORS)}."
        )
    return load_predictor(_PREDICTORS[read.architecture], read, device)
