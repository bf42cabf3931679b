"""Conversion of a published checkpoint to a model package, without running any code that the file contains."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from glam_node.inference.card import ModelCard
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.package_golden import write_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.weights import StateDict, complete_state_dict, save_weights
from glam_node.inference.package import ModelPackage, OperatingPoint, file_sha256, read_package, write_package

# Placeholders: the scores of the published weights are not calibrated, and these values were not tuned on patients.
UNCALIBRATED_OPERATING_POINTS = {
    FindingKind.BENIGN: OperatingPoint(0.4, 0.5, 0.5, 400),
    FindingKind.MALIGNANT: OperatingPoint(0.2, 0.5, 0.5, 400),
}

# The same network with different weights: model_sep was trained in stages, model_joint as a whole.
PUBLISHED_CHECKPOINTS = ("model_sep", "model_joint")

_NESTED_UNDER = ("model", "state_dict", "model_state_dict")


def read_checkpoint(path: Path) -> StateDict:
    """Read the 352 tensors of GLAM from the .ckpt file `path`.

    Raises:
        PackageMismatch: The file cannot be read, would run code, or holds anything but those tensors and the
            leftovers of training that the published files contain.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises loading the file anyway, so it is not repeated.
        raise PackageMismatch(f"{path} holds more than tensors and was not opened: it could run code.") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PackageMismatch(f"{path} is not a checkpoint that can be loaded safely: {reason}") from error
    return complete_state_dict(_state_in(loaded, path), str(path))


def _state_in(loaded: Any, path: Path) -> Mapping[str, torch.Tensor]:
    """Return the state dict, which is at the top level or one level down."""
    if isinstance(loaded, Mapping):
        nested = (loaded[key] for key in _NESTED_UNDER if isinstance(loaded.get(key), Mapping))
        state = next(nested, loaded)
        if all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()):
            return state
    raise PackageMismatch(
        f"{path} is not a checkpoint: it holds no dictionary of tensors by name. Choose a file of GLAM's weights."
    )


def convert_checkpoint(path: Path, out: Path) -> ModelPackage:
    """Convert checkpoint `path` to a package in directory `out`, and return the package as read back from there.

    Raises:
        PackageMismatch: The checkpoint is not one of GLAM.
        OSError: `out` cannot be written.
    """
    state = read_checkpoint(path)
    checkpoint_sha256 = file_sha256(path)
    write_package(
        ModelPackage(
            path=out,
            architecture=ARCHITECTURE,
            algorithm_name="GLAM",
            algorithm_version=f"{path.stem} {checkpoint_sha256[:8]}",
            trained=True,
            weights_sha256=save_weights(state, out),
            seed=None,
            operating_points=UNCALIBRATED_OPERATING_POINTS,
            parameters={
                "patches_per_image": 1,
                "maximum_findings_per_class": 5,
                "checkpoint": _published_name(path),
                "checkpoint_sha256": checkpoint_sha256,
                "calibration": "none: the operating points are placeholders",
            },
            card=_card(path),
        )
    )
    package = read_package(out)
    write_golden_case(package)
    return package


def _published_name(path: Path) -> str:
    """Return the name of the published checkpoint that the file's name contains; otherwise the file's own name."""
    return next((name for name in PUBLISHED_CHECKPOINTS if name in path.stem.lower()), path.stem)


def _card(path: Path) -> ModelCard:
    """Return the model card of a published checkpoint; for others the card states only the origin."""
    if _published_name(path) not in PUBLISHED_CHECKPOINTS:
        return ModelCard(origin=f"Imported from {path.name}.", intended_use="Research use only.")
    return ModelCard(
        origin=f"Imported from {path.name} of the published GLAM (github.com/nyukat/GLAM, 2021).",
        licence=(
            "NYU licence: internal non-commercial research and evaluation, no redistribution, no modification; "
            "the files' headers say GNU AGPLv3 instead. Only the person who imported it holds the licence."
        ),
        training_data="Screening mammograms of NYU Langone Health with labels per image, none with outlines.",
        intended_use="Research use only.",
        limitations=(
            "Scores are not calibrated and the operating points are placeholders. Tissue outside a window of "
            "2944 x 1920 pixels is not seen; pixel spacing is ignored."
        ),
        presentation="For presentation, VOI LUT applied, 12 bits, MONOCHROME2, background 0.",
    )
