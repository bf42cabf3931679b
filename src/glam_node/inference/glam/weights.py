"""Loading and saving of weights, checked for completeness and fit with the network."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.seeded import arrays_sha256, seeded_arrays
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape, shape_from_table
from glam_node.inference.package import WEIGHTS_FILE, ModelPackage, file_sha256

StateDict = dict[str, Tensor]

_COUNTER = "num_batches_tracked"
# Leftovers of training in the published checkpoints, which inference never uses.
_IGNORED_PREFIXES = ("mil.", "fusion_dnn.", "shared_rep_filter.")
_SHOWN = 3


@cache
def expected_tensors(shape: NetworkShape = PUBLISHED) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Return shape and type of every entry of the network's state dict, by name."""
    with torch.device("meta"):
        state = Glam(shape).state_dict()
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}


def seeded_state_dict(seed: int, shape: NetworkShape = PUBLISHED) -> tuple[StateDict, str]:
    """Return UNTRAINED weights made from `seed`, and their SHA-256."""
    arrays = seeded_arrays({name: size for name, (size, _) in expected_tensors(shape).items()}, seed)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, arrays_sha256(arrays)


def complete_state_dict(state: Mapping[str, Tensor], origin: str, shape: NetworkShape = PUBLISHED) -> StateDict:
    """Return the entries of `state` that the network has, with missing counters added.

    Raises:
        PackageMismatch: A tensor, which the message names, is missing, unknown, not finite, or of the wrong shape or
            type.
    """
    expected = expected_tensors(shape)
    missing = [name for name in expected if name not in state and not name.endswith(_COUNTER)]
    unknown = [name for name in state if name not in expected and not name.startswith(_IGNORED_PREFIXES)]
    present = {name: tensor for name, tensor in state.items() if name in expected}
    unlike = [
        f"{name} is {_describe(tuple(tensor.shape), tensor.dtype)}, must be {_describe(*expected[name])}"
        for name, tensor in present.items()
        if (tuple(tensor.shape), tensor.dtype) != expected[name]
    ]
    broken = [name for name, tensor in present.items() if not unlike and not tensor.isfinite().all()]
    problems = [
        f"{len(names)} {what} ({_first(names)})"
        for what, names in (
            ("tensors missing", missing),
            ("unknown tensors", unknown),
            ("of another shape or type", unlike),
            ("not finite", broken),
        )
        if names
    ]
    if problems:
        raise PackageMismatch(f"{origin} does not hold the weights of GLAM: {'; '.join(problems)}. Nothing was loaded.")
    return {name: present.get(name, torch.zeros(size, dtype=dtype)) for name, (size, dtype) in expected.items()}


def _describe(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{'x'.join(map(str, shape)) or 'scalar'} {str(dtype).removeprefix('torch.')}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def load_network(package: ModelPackage) -> Glam:
    """Load the network with the weights of `package` on the CPU, ready for inference.

    Raises:
        PackageMismatch: The weights are not those that the package states.
    """
    shape = _shape_of(package)
    network = network_from(_state_dict_of(package, shape), shape)
    return network.eval().requires_grad_(False)


def network_from(state: StateDict, shape: NetworkShape = PUBLISHED) -> Glam:
    """Return a network that owns the tensors of `state`."""
    with torch.device("meta"):
        network = Glam(shape)
    network.load_state_dict(state, strict=True, assign=True)
    return network


def save_weights(state: Mapping[str, Tensor], folder: Path) -> str:
    """Write the weights file of the package in `folder`, which is made if missing, and return the file's SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WEIGHTS_FILE
    save_file({name: tensor.contiguous().cpu() for name, tensor in state.items()}, path)
    return file_sha256(path)


def _shape_of(package: ModelPackage) -> NetworkShape:
    try:
        return shape_from_table(package.shape)
    except ValueError as error:
        raise PackageMismatch(f"{package.path}: {error}") from error


def _state_dict_of(package: ModelPackage, shape: NetworkShape) -> StateDict:
    if package.seed is None:
        try:
            return complete_state_dict(load_file(package.weights_path), str(package.weights_path), shape)
        except (OSError, SafetensorError) as error:
            raise PackageMismatch(f"{package.weights_path} is not a safetensors file: {error}.") from error
    state, digest = seeded_state_dict(package.seed, shape)
    if digest != package.weights_sha256:
        raise PackageMismatch(
            f"The weights of seed {package.seed} have SHA-256 {digest}, {package.path} says {package.weights_sha256}."
        )
    return state
