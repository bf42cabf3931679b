"""Comparison of this implementation with golden files, which hold values that the published implementation computed.

Both use weights made from the seed in the file. Synthetic inputs are drawn again from the recipes in the file; real
views are found by their SHA-256 in a folder of PNG files.
"""

import hashlib
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from glam_node.inference.errors import InferenceError
from glam_node.inference.glam.device import resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.routes import Route, take_local_route
from glam_node.inference.glam.seeded import arrays_sha256, little_endian_bytes, seeded_arrays
from glam_node.inference.glam.weights import expected_tensors, network_from
from glam_node.inference.options import Runtime
from glam_node.research.golden.golden_view import (
    WINDOW_TOLERANCE,
    Pose,
    Values,
    ViewValues,
    compare_network,
    compare_preprocessing,
    find_breast,
)
from glam_node.research.golden.synthetic_inputs import render_recipe

Meta = Mapping[str, Any]


class UnreadableGoldenFile(InferenceError):
    """Raised for a file that is not a golden file; the message gives the reason."""


def verify_golden(npz_path: Path, images_dir: Path | None = None, device: str = "cpu") -> GoldenReport:
    """Recompute every value of golden file `npz_path` by the code that analyses studies, and compare.

    Real views are compared if `images_dir` holds their PNG files. One view takes a few seconds.

    Raises:
        UnreadableGoldenFile: The file is not a golden file.
        DeviceUnavailable: The machine lacks the device.
    """
    start = time.perf_counter()
    values, meta = _read(npz_path)
    ledger = GoldenLedger()
    try:
        network = _seeded_network(ledger, meta)
        network.to(resolve_device(device))
        take_local_route(network, Route(Runtime.TORCH), threads=1)
        for recipe in meta["prep_cases"]:
            _compare_synthetic(ledger, recipe, values)
        _compare_real(ledger, network, images_dir, meta, values)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableGoldenFile(f"{npz_path} has a missing or malformed entry: {error}.") from error
    return GoldenReport(
        path=npz_path,
        seed=int(meta["seed"]),
        quantities=tuple(ledger.quantities.values()),
        not_computed=tuple(ledger.not_computed),
        seconds=time.perf_counter() - start,
    )


def _read(npz_path: Path) -> tuple[Values, Meta]:
    try:
        with np.load(npz_path, allow_pickle=False) as archive:
            values = {name: archive[name] for name in archive.files}
        return values, json.loads(str(values["meta"]))
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UnreadableGoldenFile(f"{npz_path} is not a golden file: {error}") from error


def _seeded_network(ledger: GoldenLedger, meta: Meta) -> Glam:
    """Return the folded network with the weights of the file's seed."""
    shapes = {name: shape for name, (shape, _) in expected_tensors().items()}
    arrays = seeded_arrays(shapes, int(meta["seed"]))
    ledger.same("weights (SHA-256)", f"seed {meta['seed']}", arrays_sha256(arrays), meta["weights_sha256"])
    digests: Mapping[str, str] = meta["tensor_sha256"]
    ledger.same("names of tensors", "weights", sorted(arrays), sorted(digests))
    for name in sorted(arrays.keys() & digests.keys()):
        digest = hashlib.sha256(little_endian_bytes(arrays[name])).hexdigest()
        ledger.same("tensors (SHA-256)", name, digest[: len(digests[name])], digests[name])
    return fold_for_inference(network_from({name: torch.from_numpy(array) for name, array in arrays.items()}))


def _compare_synthetic(ledger: GoldenLedger, recipe: Meta, values: Values) -> None:
    name = recipe["name"]
    pixels = render_recipe(recipe)
    digest = hashlib.sha256(pixels.astype("<u2", copy=False).tobytes()).hexdigest()
    ledger.same("synthetic inputs (SHA-256)", name, digest, recipe["input_sha256"])
    solid = find_breast(ledger, name, pixels, recipe["outcome"] == "ok")
    if solid is not None:
        golden = ViewValues(values, f"prep/{name}/")
        pose = Pose.of(recipe["view"], recipe["hflip"])
        window = compare_preprocessing(ledger, name, pixels, solid, pose, golden)
        ledger.compare("standardised window", name, window[::256, ::256], golden["norm_sub"], WINDOW_TOLERANCE)


def _compare_real(ledger: GoldenLedger, network: Glam, images_dir: Path | None, meta: Meta, values: Values) -> None:
    files = _files_by_digest(images_dir) if images_dir is not None else {}
    where = "no folder of images was given" if images_dir is None else f"{images_dir} has no PNG with its SHA-256"
    patches = int(meta["params"]["top_k_per_class"])
    for view, digest in meta["images"].items():
        if digest not in files:
            ledger.leave_out(f"view {view}", where)
            continue
        golden = ViewValues(values, f"img/{view}/")
        pixels = np.asarray(cv2.imread(str(files[digest]), cv2.IMREAD_UNCHANGED), dtype=np.uint16)
        solid = find_breast(ledger, view, pixels, True)
        if solid is not None:
            window = compare_preprocessing(ledger, view, pixels, solid, Pose.of(view, "NO"), golden)
            compare_network(ledger, view, network, window, patches, golden)


def _files_by_digest(images_dir: Path) -> dict[str, Path]:
    try:
        return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in sorted(images_dir.glob("*.png"))}
    except OSError as error:
        raise UnreadableGoldenFile(f"{images_dir} cannot be read: {error}") from error
