"""The golden case of a package: results of its weights for one small window where they were trained or imported.

The same results elsewhere prove that weights, code and machine compute what was evaluated. The window is made from a
seed; the file holds only the results, in float32, and the digest of the weights that they belong to.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.device import full_precision, resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.golden_report import GoldenLedger
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.patches import cut_patches, normalise, propose_patches
from glam_node.inference.glam.seeded import little_endian_bytes
from glam_node.inference.glam.shape import NetworkShape
from glam_node.inference.glam.weights import load_network
from glam_node.inference.package import ModelPackage

GOLDEN_FILE = "golden.npz"

Arrays = dict[str, NDArray[Any]]

_FORMAT_VERSION = 1
_SEED = 20_210_606
# Largest errors of float32 arithmetic allowed on other machines: several times those measured (about 1e-7 to 7e-7).
_TOLERANCES = {"scores": 2e-6, "layer_scores": 2e-6, "fine_map": 1e-5, "saliency": 1e-5, "local_saliency": 2e-5}
# The order of summation may decide between squares whose saliency differs by less than this.
_LEAST_GAP = 1e-5
# Side, in pixels, of the part of a patch that the local network reads: enough to use all of its weights.
_LOCAL_SIDE = 128


def write_golden_case(package: ModelPackage) -> Path:
    """Compute the golden case of `package` on the CPU, write it into the package's directory and return its path.

    Call this once, on the machine that makes the weights.

    Raises:
        PackageMismatch: The weights are not those that the package states.
    """
    network = fold_for_inference(load_network(package))
    window = _window(network.shape)
    arrays = _computed(network, window, torch.device("cpu"), None)
    meta = {
        "format_version": _FORMAT_VERSION,
        "seed": _SEED,
        "weights_sha256": package.weights_sha256,
        "window_shape": window.shape,
        "window_sha256": _sha256(window),
    }
    path = package.path / GOLDEN_FILE
    np.savez_compressed(path, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]
    return path


def compare_golden_case(ledger: GoldenLedger, package: ModelPackage, network: Glam, device: str) -> None:
    """Record in `ledger` how far the folded `network` of `package` is from the golden case on `device`.

    Raises:
        PackageMismatch: The file is not the golden case of these weights.
        DeviceUnavailable: The machine lacks the device.
    """
    path = package.path / GOLDEN_FILE
    if not path.is_file():
        ledger.leave_out("golden case", f"the package has no {GOLDEN_FILE}")
        return
    golden, meta = _read(path)
    if meta.get("weights_sha256") != package.weights_sha256:
        raise PackageMismatch(f"{path} belongs to other weights: {meta.get('weights_sha256')}.")
    window = _window(network.shape)
    ledger.same("golden window (SHA-256)", GOLDEN_FILE, _sha256(window), meta.get("window_sha256"))
    try:
        cell = torch.from_numpy(golden["patch_cell"].astype(np.int64)).reshape(1, 1, 2)
        arrays = _computed(network, window, resolve_device(device), cell)
        for name, tolerance in _TOLERANCES.items():
            ledger.compare(name, GOLDEN_FILE, arrays[name], golden[name], tolerance)
        if float(golden["patch_gap"]) >= _LEAST_GAP:
            ledger.same("patch_cell", GOLDEN_FILE, arrays["patch_cell"], golden["patch_cell"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PackageMismatch(f"{path} has a missing or malformed entry: {error}.") from error


def _sides(shape: NetworkShape) -> tuple[int, int]:
    """Return rows and columns of the window: a little more than a patch, in whole steps of the coarsest map."""
    step = shape.cell * prod(shape.global_strides[-2:])
    least = -(-shape.patch_size // step) * step
    return least + 2 * step, least + step


def _window(shape: NetworkShape) -> NDArray[np.float32]:
    """Return a standardised window of coarse blotches and fine grain, identical wherever numpy runs."""
    rows, columns = _sides(shape)
    generator = np.random.default_rng(_SEED)
    block = 64
    coarse = generator.random((-(-rows // block), -(-columns // block)))
    blotches = np.kron(coarse, np.ones((block, block)))[:rows, :columns]
    values = 2.0 * blotches + generator.random((rows, columns))
    return ((values - 1.5) / 0.65).astype(np.float32)


def _computed(network: Glam, window: NDArray[np.float32], device: torch.device, cell: Tensor | None) -> Arrays:
    """Return the results for `window`; the local network reads the patch at `cell`, or the one that is proposed."""
    network = network.to(device)
    with full_precision():
        inputs = network.reduce(torch.from_numpy(window)[None, None].to(device))
        overview = network.global_network(inputs)
        chosen = propose_patches(overview.saliency, 1, network.shape.patch_cells)
        patch = cut_patches(inputs, chosen if cell is None else cell.to(device), network.shape)
        local = network.detection_network(patch[..., :_LOCAL_SIDE, :_LOCAL_SIDE].contiguous())
    results = {
        "scores": overview.scores[0],
        "layer_scores": overview.layer_scores[0],
        "fine_map": overview.layer_maps[0][0],
        "saliency": overview.saliency[0],
        "patch_cell": chosen[0, 0],
        "patch_gap": _gap(overview.saliency, network.shape.patch_cells),
        "local_saliency": local[0],
    }
    return {name: tensor.cpu().numpy() for name, tensor in results.items()}


def _gap(saliency: Tensor, size: int) -> Tensor:
    """Return the difference in saliency between the best square and the next one.

    The squares are compared after each class was stretched to 0 .. 1, which stretches rounding errors as well.
    """
    pooled = avg_pool2d(normalise(saliency).sum(dim=1, keepdim=True), size, stride=1).flatten()
    best = pooled.topk(min(2, pooled.numel())).values
    extent = saliency.amax(dim=(2, 3)) - saliency.amin(dim=(2, 3))
    return (best[0] - best[-1]) * extent.min()


def _sha256(window: NDArray[np.float32]) -> str:
    return hashlib.sha256(little_endian_bytes(window)).hexdigest()


def _read(path: Path) -> tuple[Arrays, Mapping[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(str(arrays.pop("meta")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PackageMismatch(f"{path} is not a golden case: {error}") from error
    if not isinstance(meta, dict) or meta.get("format_version") != _FORMAT_VERSION:
        raise PackageMismatch(f"{path} is not a golden case of format version {_FORMAT_VERSION}.")
    return arrays, meta
