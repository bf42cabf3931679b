"""The routes that the options leave open, their fixed order, and the modules of each route.

A route replaces modules of a folded network by modules with the same interface; all other modules stay in torch.
"""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from glam_node.inference.cores import processor_flags
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.backbone import GlobalTrunk
from glam_node.inference.glam.device import computes_bfloat16, give_back_freed
from glam_node.inference.glam.network import Glam, LocalNetwork
from glam_node.inference.glam.shape import NetworkShape
from glam_node.inference.glam.stem import BandedTrunk
from glam_node.inference.glam.winograd import TILE, WinogradLocalNetwork
from glam_node.inference.options import Precision, RunOptions, Runtime

_NAMES = {Runtime.OPENVINO: "OpenVINO", Runtime.NCNN: "ncnn"}
"""Runtimes of the extra `fast`; their Python modules have the names of the runtimes."""
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Flags of x86 and ARM processors with bfloat16 arithmetic."""


@dataclass(frozen=True, slots=True)
class Route:
    """Runtime and number format of the global and the local network."""

    runtime: Runtime
    """Runtime of the global network, in float32: TORCH or OPENVINO."""
    local_runtime: Runtime = Runtime.TORCH
    """Runtime of the local network: TORCH, NCNN (float32 only) or OPENVINO (bfloat16 only)."""
    local_type: torch.dtype = torch.float32
    """Number format of the local network's arithmetic."""

    def __str__(self) -> str:
        by = "" if self.local_runtime is self.runtime else f" by {self.local_runtime}"
        narrow = "" if self.local_type is torch.float32 else f" in {name_of_type(self.local_type)}"
        return f"{self.runtime}, local network{by}{narrow}" if by or narrow else str(self.runtime)

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Parameters for an AlgorithmIdentification; none if the results equal the reference's."""
        return () if self.local_type is torch.float32 else (("local_precision", name_of_type(self.local_type)),)


def name_of_type(dtype: torch.dtype) -> str:
    """Return the name of a number format, for example "bfloat16"."""
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True, slots=True)
class OpenRoutes:
    """The routes that the options leave open for each network, those with the least memory first."""

    for_global: tuple[Route, ...]
    for_local: tuple[Route, ...]

    @property
    def is_choice(self) -> bool:
        """Whether more than one route is open."""
        return len(self.for_global) > 1 or len(self.for_local) > 1

    @property
    def first(self) -> Route:
        """The route with the least memory for each network, which is exact."""
        return joined(self.for_global[0], self.for_local[0])


def joined(for_global: Route, for_local: Route) -> Route:
    """Return the route with the global network of one route and the local network of another."""
    return Route(for_global.runtime, for_local.local_runtime, for_local.local_type)


def open_routes(options: RunOptions, device: torch.device) -> OpenRoutes:
    """Return the routes that `options` leave open on `device`.

    On a GPU nothing is open, and neither is bfloat16 on a processor that would emulate it.

    Raises:
        PackageMismatch: As `fixed_route`.
    """
    fixed = fixed_route(options, device)
    narrow = options.precision is Precision.FAST and processor_has_bfloat16()
    if device.type != "cpu" or options.runtime is Runtime.NCNN:
        return OpenRoutes((fixed,), (fixed,))
    allowed = [Runtime.TORCH, Runtime.OPENVINO] if options.runtime is Runtime.AUTO else [options.runtime]
    there = [runtime for runtime in allowed if runtime is Runtime.TORCH or is_installed(runtime)]
    local = [Route(there[0])]
    if narrow:
        local += [Route(there[0], runtime, torch.bfloat16) for runtime in there]
    if options.runtime is Runtime.AUTO and is_installed(Runtime.NCNN):
        local.append(Route(there[0], Runtime.NCNN))
    return OpenRoutes(tuple(map(Route, there)), tuple(local))


def fixed_route(options: RunOptions, device: torch.device) -> Route:
    """Return the route for `options` on `device` where none was measured; on a CPU it is exact.

    Whether bfloat16 saves time on a CPU, and keeps its tolerance with this network, only a measurement can say.

    Raises:
        PackageMismatch: A runtime that `options` names is not installed, or not for this device.
    """
    if options.runtime in _NAMES:
        _demand(options.runtime, device)
    if device.type != "cpu":
        narrow = torch.bfloat16 if computes_bfloat16(device) else torch.float16
        return Route(Runtime.TORCH, local_type=torch.float32 if options.precision is Precision.EXACT else narrow)
    if options.runtime is Runtime.TORCH:
        return Route(Runtime.TORCH)
    whole = Runtime.OPENVINO if is_installed(Runtime.OPENVINO) else Runtime.TORCH
    by_ncnn = options.runtime is not Runtime.OPENVINO and is_installed(Runtime.NCNN)
    return Route(whole, Runtime.NCNN if by_ncnn else Runtime.TORCH)


def _demand(runtime: Runtime, device: torch.device) -> None:
    asked = f'inference.runtime = "{runtime}"'
    if device.type != "cpu":
        raise PackageMismatch(f'{asked} is for the CPU, not {device}: choose "auto" or "torch".')
    if not is_installed(runtime):
        raise PackageMismatch(
            f'{asked} needs {_NAMES[runtime]}: pip install "glam-node[fast]", or choose "auto" or "torch".'
        )


def is_installed(runtime: Runtime) -> bool:
    """Return whether this runtime of the extra `fast` is installed."""
    return find_spec(runtime) is not None


def processor_has_bfloat16() -> bool:
    """Return whether this CPU computes bfloat16 natively; emulated, it is much slower than plain float32."""
    return not _BFLOAT16_FLAGS.isdisjoint(processor_flags())


def take_route(network: Glam, route: Route, threads: int) -> Glam:
    """Replace modules of `network`, folded and on its device, by those of `route`, in place; return `network`."""
    trunk = network.global_network.downsampling_branch
    _replace(network.global_network, "downsampling_branch", global_module(trunk, route, threads))
    take_local_route(network, route, threads)
    give_back_freed()
    return network


def go_on_on_the_cpu(network: Glam) -> None:
    """Move `network`, which does not fit into the GPU's memory, to the CPU in place; torch computes it in float32.

    Weights that were rounded for the GPU stay rounded but are used in float32, since emulated narrow formats would
    take several times as long.
    """
    network.to("cpu")
    local = network.detection_network
    if isinstance(local, NarrowLocalNetwork):
        _replace(network, "detection_network", local.widened())
    take_route(network, Route(Runtime.TORCH), torch.get_num_threads())


def take_local_route(network: Glam, route: Route, threads: int) -> None:
    """Replace the local network of `network`, folded and on its device, by the module of `route`, in place."""
    _replace(network, "detection_network", local_module(network.detection_network, network.shape, route, threads))


def local_module(local: nn.Module, shape: NetworkShape, route: Route, threads: int) -> nn.Module:
    """Return the module of `route` for `local`, a folded local network on its device, which torch's routes change."""
    if route.local_runtime is Runtime.NCNN:
        local = _module("ncnn_route").NcnnLocalNetwork(local, threads)
    elif route.local_runtime is Runtime.OPENVINO:
        local = _module("openvino_route").OpenVinoLocalNetwork(local, threads)
    elif route.local_type is not torch.float32:
        local = NarrowLocalNetwork(local, route.local_type)
    elif isinstance(local, LocalNetwork) and _on_cpu(local) and shape.patch_size // shape.local_step % TILE == 0:
        local = WinogradLocalNetwork(local)
    return local


def global_module(trunk: nn.Module, route: Route, threads: int) -> nn.Module:
    """Return the module of `route` for `trunk`, the folded trunk of a global network on its device."""
    if route.runtime is Runtime.OPENVINO:
        trunk = _module("openvino_route").OpenVinoTrunk(trunk, threads)
    elif isinstance(trunk, GlobalTrunk) and _on_cpu(trunk) and isinstance(trunk.first_pool, nn.MaxPool2d):
        trunk = BandedTrunk(trunk)
    return trunk


def _module(name: str) -> Any:
    return importlib.import_module(f"glam_node.inference.glam.{name}")


def _on_cpu(network: nn.Module) -> bool:
    return next(network.parameters()).device.type == "cpu"


def _replace(parent: nn.Module, name: str, module: nn.Module) -> None:
    setattr(parent, name, module.eval())


class NarrowLocalNetwork(nn.Module):
    """Replacement for a folded LocalNetwork with weights of bfloat16 or float16, on the same device.

    This equals autocast, but the weights are not cast again for every patch.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self._network = network.to(dtype)
        self._dtype = dtype

    def widened(self) -> nn.Module:
        """Return the network itself, in float32."""
        return self._network.float()

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches of N x 1 x 512 x 512 to saliency of N x 2 x 128 x 128, 0 to 1, in float32."""
        if patches.device.type == "cpu":
            give_back_freed()
        saliency: Tensor = self._network(patches.to(self._dtype))
        return saliency.float()
