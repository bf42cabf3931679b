"""Who computes which network, and in which numbers: chosen by the options and by what is installed.

A route puts other modules of the same call in the place of a folded network's; all that surrounds them stays torch.
"""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.backbone import GlobalTrunk
from glam_node.inference.glam.device import computes_bfloat16
from glam_node.inference.glam.memory import give_back_freed
from glam_node.inference.glam.network import Glam, GlobalNetwork, LocalNetwork
from glam_node.inference.glam.stem import BandedTrunk
from glam_node.inference.glam.winograd import TILE, WinogradLocalNetwork
from glam_node.inference.options import Precision, RunOptions, Runtime

_EXTRA = "openvino"
_CPU_FLAGS = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Of x86 and of ARM processors: those with arithmetic for it."""


@dataclass(frozen=True, slots=True)
class Route:
    """What computes the global and the local network."""

    runtime: Runtime
    """Never AUTO."""
    local_type: torch.dtype = torch.float32
    """Of the local network's arithmetic; the global one's is float32."""

    def __str__(self) -> str:
        narrow = "" if self.local_type is torch.float32 else f", local network in {_name(self.local_type)}"
        return f"{self.runtime}{narrow}"

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """What an AlgorithmIdentification must say of it: nothing where the numbers are the reference's."""
        return () if self.local_type is torch.float32 else (("local_precision", _name(self.local_type)),)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def choose_route(options: RunOptions, device: torch.device) -> Route:
    """The route for `options` on `device`. Raises PackageMismatch when a runtime asked for by name is not there."""
    narrow = torch.float32 if options.precision is Precision.EXACT else _narrow_type(device)
    if options.runtime is Runtime.OPENVINO:
        _demand_openvino(device)
    elif options.runtime is Runtime.TORCH or device.type != "cpu" or not openvino_is_installed():
        return Route(Runtime.TORCH, narrow)
    return Route(Runtime.OPENVINO, narrow)


def _demand_openvino(device: torch.device) -> None:
    if device.type != "cpu":
        raise PackageMismatch(f'inference.runtime = "openvino" is for the CPU, not {device}: take "auto" or "torch".')
    if not openvino_is_installed():
        raise PackageMismatch(
            'inference.runtime = "openvino" needs OpenVINO: pip install "glam-node[fast]", or take "auto" or "torch".'
        )


def openvino_is_installed() -> bool:
    """Whether the extra `fast` is."""
    return find_spec(_EXTRA) is not None


def _narrow_type(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if computes_bfloat16(device) else torch.float16
    return torch.bfloat16 if processor_has_bfloat16() else torch.float32


def processor_has_bfloat16(cpu_information: Path = _CPU_FLAGS) -> bool:
    """Whether narrow numbers save time here; emulated they cost some."""
    try:
        words = cpu_information.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(words)


def take_route(network: Glam, route: Route, threads: int) -> Glam:
    """`network`, folded and on its device, with the modules of `route` put in; changed in place."""
    _take_global_route(network.global_network, route, threads)
    take_local_route(network, route, threads)
    give_back_freed()
    return network


def go_on_on_the_cpu(network: Glam) -> None:
    """`network`, which a GPU has no room for, is on the CPU by torch, in float32; changed in place.

    Weights that were rounded for the GPU stay so: emulated, narrow numbers would take several times as long.
    """
    network.to("cpu")
    local = network.detection_network
    if isinstance(local, NarrowLocalNetwork):
        _replace(network, "detection_network", local.widened())
    take_route(network, Route(Runtime.TORCH), torch.get_num_threads())


def take_local_route(network: Glam, route: Route, threads: int) -> None:
    """`network`, folded and on its device, has the local module of `route`; changed in place."""
    local, narrow = network.detection_network, route.local_type is not torch.float32
    if narrow and route.runtime is Runtime.OPENVINO:
        _replace(network, "detection_network", _openvino().OpenVinoLocalNetwork(local, threads))
    elif narrow:
        _replace(network, "detection_network", NarrowLocalNetwork(local, route.local_type))
    elif (
        isinstance(local, LocalNetwork)
        and _on_cpu(network)
        and network.shape.patch_size // network.shape.local_step % TILE == 0
    ):
        _replace(network, "detection_network", WinogradLocalNetwork(local))


def _take_global_route(network: GlobalNetwork, route: Route, threads: int) -> None:
    trunk = network.downsampling_branch
    if route.runtime is Runtime.OPENVINO:
        _replace(network, "downsampling_branch", _openvino().OpenVinoTrunk(trunk, threads))
    elif isinstance(trunk, GlobalTrunk) and _on_cpu(network) and isinstance(trunk.first_pool, nn.MaxPool2d):
        _replace(network, "downsampling_branch", BandedTrunk(trunk))


def _openvino() -> Any:
    return importlib.import_module("glam_node.inference.glam.openvino_route")


def _on_cpu(network: nn.Module) -> bool:
    return next(network.parameters()).device.type == "cpu"


def _replace(parent: nn.Module, name: str, module: nn.Module) -> None:
    setattr(parent, name, module.eval())


class NarrowLocalNetwork(nn.Module):
    """Takes the place of a folded LocalNetwork, whose weights it makes bfloat16 or float16, on its device.

    What autocast would do, without casting the weights anew for every patch.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self._network = network.to(dtype)
        self._dtype = dtype

    def widened(self) -> nn.Module:
        """The network itself, in float32."""
        return self._network.float()

    def forward(self, patches: Tensor) -> Tensor:
        """N x 1 x 512 x 512 -> N x 2 x 128 x 128, saliency 0 to 1, float32."""
        if patches.device.type == "cpu":
            give_back_freed()
        saliency: Tensor = self._network(patches.to(self._dtype))
        return saliency.float()
