"""Comparison of one view with a golden file, from the stored pixels to the fused map."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.breast import locate_breast
from glam_node.inference.glam.device import full_precision
from glam_node.inference.glam.golden_report import GoldenLedger
from glam_node.inference.glam.network import Glam, GlamOutput, GlobalOutput, top_fraction_mean
from glam_node.inference.glam.orientation import Orientation
from glam_node.inference.glam.patches import cut_patches, normalise, propose_patches
from glam_node.inference.glam.preprocessing import place
from glam_node.inference.glam.shape import PUBLISHED
from glam_node.inference.glam.window import standardise
from glam_node.inference.mammogram import ViewPosition

Values = Mapping[str, NDArray[Any]]
Mask = NDArray[np.bool_]

# Differences that another order of summation in float32 explains; float32 and float64 differ 15 to 30 times less.
SCORE_TOLERANCE = 2e-6
WINDOW_TOLERANCE = 1e-6
MAP_TOLERANCE = 1e-5
LOCAL_TOLERANCE = 2e-5
# Relative to the largest activation of a stage.
STAGE_TOLERANCE = 1e-5
# Rounding decides between patches whose saliency differs by less than this.
_LEAST_GAP = 1e-5
_STAGE_SAMPLES = 33


class ViewValues:
    """The values of one case of a golden file, under their short names."""

    def __init__(self, values: Values, prefix: str) -> None:
        self._values, self._prefix = values, prefix

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._values[self._prefix + name]


@dataclass(frozen=True, slots=True)
class Pose:
    """View and orientation of a stored image."""

    view_position: ViewPosition
    orientation: Orientation

    @classmethod
    def of(cls, view: str, horizontal_flip: str) -> "Pose":
        """Return the pose of a view such as "L-CC": left breasts point right, unless `horizontal_flip`."""
        side, _, view_position = view.partition("-")
        return cls(ViewPosition(view_position), Orientation((side == "L") == (horizontal_flip == "NO")))


def find_breast(ledger: GoldenLedger, case: str, pixels: NDArray[np.uint16], expected: bool) -> Mask | None:
    """Compare whether `pixels` show a breast, and return the solid breast; None unless it is present and expected."""
    try:
        solid = locate_breast(pixels).solid
    except UnsupportedMammogram:
        solid = None
    ledger.same("breast found", case, solid is not None, expected)
    return solid if expected else None


def compare_preprocessing(
    ledger: GoldenLedger, case: str, pixels: NDArray[np.uint16], solid: Mask, pose: Pose, golden: ViewValues
) -> NDArray[np.float32]:
    """Compare every preprocessing step and return the standardised window of `pixels`."""
    placement = place(pixels, solid, pose.view_position, pose.orientation)
    crop = placement.crop
    ledger.same("crop", case, (crop.top, crop.bottom, crop.left, crop.right), golden["window"])
    ledger.same("rightmost point", case, (*crop.rightmost[0], crop.rightmost[1]), golden["rightmost"])
    ledger.same("bottommost point", case, (crop.bottommost[0], *crop.bottommost[1]), golden["bottommost"])
    ledger.same("distance from starting side", case, crop.distance_from_starting_side, golden["distance"])
    ledger.same("centre", case, placement.centre, golden["best_center"])
    raw = placement.geometry.apply(pixels)
    digest = hashlib.sha256(raw.astype("<f4").tobytes()).hexdigest()
    ledger.same("window pixels (SHA-256)", case, digest, str(golden["raw_sha256"]))
    window = standardise(placement.geometry, pixels)
    mean, deviation, low, high = golden["norm_stats"]
    values = raw.astype(np.float32)
    ledger.compare(
        "window mean and deviation",
        case,
        (values.mean(dtype=np.float64), values.std(dtype=np.float64)),
        (mean, deviation),
        WINDOW_TOLERANCE,
        scale=max(1.0, mean, deviation),
    )
    ledger.compare("standardised window", case, (window.min(), window.max()), (low, high), WINDOW_TOLERANCE)
    return window


def compare_network(
    ledger: GoldenLedger, case: str, network: Glam, window: NDArray[np.float32], patches: int, golden: ViewValues
) -> None:
    """Compare all that `network` computes from `window` with `golden`."""
    windows = torch.from_numpy(window)[None, None].to(next(network.parameters()).device)
    with full_precision(), _watched(ledger, case, network, golden):
        output: GlamOutput = network(windows, patches)
        compare_overview(ledger, case, output.overview, golden)
        _compare_patches(ledger, case, output, cut_patches(windows, output.patch_cells), golden)
        _compare_fused(ledger, case, output.fused_saliency(0), golden)
    _compare_window(ledger, case, window, golden)


def _compare_window(ledger: GoldenLedger, case: str, window: NDArray[np.float32], golden: ViewValues) -> None:
    ledger.compare("standardised window", case, window[::64, ::64], golden["norm_sub"], WINDOW_TOLERANCE)
    ledger.compare("standardised window", case, window[1400:1424, 100:124], golden["norm_block"], WINDOW_TOLERANCE)


def compare_overview(ledger: GoldenLedger, case: str, overview: GlobalOutput, golden: ViewValues) -> None:
    """Compare the maps and scores of the global network with `golden`."""
    names = ("x_layer1", "x_layer2_native", "x_layer3_native")
    for name, maps in zip(names, overview.layer_maps, strict=True):
        ledger.compare(name, case, maps[0].cpu(), golden[name], MAP_TOLERANCE)
    ledger.compare("saliency_global", case, overview.saliency[0].cpu(), golden["saliency_global"], MAP_TOLERANCE)
    scores = torch.cat((overview.layer_scores[0], _mean_map_score(overview))).cpu()
    ledger.compare("y_cam_layers", case, scores, golden["y_cam_layers"], SCORE_TOLERANCE)
    score = overview.scores[0].cpu()
    ledger.compare("y_global", case, score, golden["y_global"], SCORE_TOLERANCE)
    ledger.compare("y_global (float64)", case, score, golden["y_global_f64"], SCORE_TOLERANCE)


def _mean_map_score(overview: GlobalOutput) -> Tensor:
    """Return the score by the plain mean of the three maps, 1 x 2; only golden files contain it."""
    height = overview.layer_maps[0].shape[2]
    maps = [
        maps.repeat_interleave(height // maps.shape[2], dim=2).repeat_interleave(height // maps.shape[2], dim=3)
        for maps in overview.layer_maps
    ]
    return top_fraction_mean((maps[0] + maps[1] + maps[2]) / 3)


def _compare_patches(ledger: GoldenLedger, case: str, output: GlamOutput, patches: Tensor, golden: ViewValues) -> None:
    saliency = output.overview.saliency
    ledger.same("patch position", case, output.patch_positions[0].cpu(), golden["patch_locations"])
    ledger.same("patch cell", case, output.patch_cells[0].cpu(), golden["patch_small"])
    ties = np.flatnonzero(golden["patch_small_top6_gap"] < _LEAST_GAP)
    certain = int(ties[0]) if ties.size else len(golden["patch_small_top6"])
    picks = propose_patches(saliency, len(golden["patch_small_top6"]))[0].cpu()
    ledger.same("further picks", case, picks[:certain], golden["patch_small_top6"][:certain])
    interest = avg_pool2d(normalise(saliency).sum(dim=1, keepdim=True), PUBLISHED.patch_cells, stride=1)
    best = interest.flatten().topk(2).values.cpu()
    ledger.compare("saliency of the best squares", case, best, golden["pool_top2"], MAP_TOLERANCE)
    ledger.compare("patch", case, patches[0, 0, ::16, ::16].cpu(), golden["patch_sub"], WINDOW_TOLERANCE)
    local = output.local_saliency[0].cpu().reshape(golden["raw_local_CAM"].shape)
    ledger.compare("raw_local_CAM", case, local, golden["raw_local_CAM"], LOCAL_TOLERANCE)


def _compare_fused(ledger: GoldenLedger, case: str, fused: Tensor, golden: ViewValues) -> None:
    maps = fused.cpu().numpy()
    ledger.compare("fused map", case, maps[:, 8::16, 8::16], golden["saliency_sub16"], MAP_TOLERANCE)
    top, left = golden["saliency_corner_origin"].tolist()
    corner = maps[:, top : top + 16, left : left + 16]
    ledger.compare("fused map", case, corner, golden["saliency_corner"], MAP_TOLERANCE)
    mean = maps.mean(axis=(1, 2), dtype=np.float64)
    size = maps[0].size
    ledger.compare("fused map, mean", case, mean, golden["saliency_sum"] / size, MAP_TOLERANCE)


@contextmanager
def _watched(ledger: GoldenLedger, case: str, network: Glam, golden: ViewValues) -> Iterator[None]:
    """Compare the output of every stage while the network computes it."""

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def compare(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            expected = golden[f"stage/{name}"]
            scale = float(np.abs(expected[2:4]).max())
            ledger.compare(f"stage {name}", case, _summary(output), expected, STAGE_TOLERANCE, scale)

        return module.register_forward_hook(compare)

    handles = [watch(name, module) for name, module in _stages(network).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _stages(network: Glam) -> dict[str, nn.Module]:
    trunk, local = network.global_network.downsampling_branch, network.detection_network.dn_resnet
    return {
        "g.first_conv": trunk.first_conv,
        "g.pool": trunk.first_pool,
        **{f"g.layer{index}": stage for index, stage in enumerate(trunk.layer_list)},
        "g.final_bn": trunk.final_bn,
        "l.maxpool": local.maxpool,
        **{f"l.layer{index}": local.get_submodule(f"layer{index}") for index in range(1, 5)},
    }


def _summary(output: Tensor) -> NDArray[np.float64]:
    """Return mean, standard deviation, minimum, maximum and 33 evenly spread values of the flattened output."""
    values = output.cpu().numpy().ravel()
    samples = values[np.round(np.linspace(0, values.size - 1, _STAGE_SAMPLES)).astype(np.int64)]
    moments = (values.mean(dtype=np.float64), values.std(dtype=np.float64), values.min(), values.max())
    return np.concatenate((moments, samples))
