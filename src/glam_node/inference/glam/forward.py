"""Forward passes of prepared views on the network's device, in batches that fit into its memory."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from glam_node.inference.errors import DeviceUnavailable, OutOfMemory
from glam_node.inference.glam.device import full_precision, on_device
from glam_node.inference.glam.network import Glam, GlobalOutput
from glam_node.inference.glam.patches import propose_patches
from glam_node.inference.glam.postprocessing import ViewSaliency
from glam_node.inference.glam.preprocessing import PreparedView
from glam_node.inference.glam.routes import go_on_on_the_cpu

Timed = Callable[[str], AbstractContextManager[None]]


@dataclass
class Looker:
    """A network on its device; it computes for one caller at a time."""

    network: Glam
    device: torch.device
    patches_per_image: int
    is_positive: Callable[[Sequence[float]], bool]
    """The function that decides from the scores of both classes whether the local network runs on the image."""
    batch_size: int
    """Views per batch; halved when the device runs out of memory."""
    falls_back: bool
    """Whether to continue on the CPU when a single view does not fit into the device's memory."""

    def __post_init__(self) -> None:
        """Create the lock that guards the device."""
        self._turn = threading.Lock()

    def look(self, views: Sequence[PreparedView], timed: Timed) -> list[ViewSaliency]:
        """Run the networks on `views`, the local one only on images that may have findings.

        The call waits while another thread uses the device.

        Raises:
            DeviceUnavailable: The device is lost or cannot hold a single view.
        """
        found: list[ViewSaliency] = []
        with self._turn:
            while len(found) < len(views):
                try:
                    found += self._look(views[len(found) : len(found) + self.batch_size], timed)
                    continue
                except torch.OutOfMemoryError:
                    # The error's frames keep the tensors that filled the device alive: leave the handler first.
                    pass
                except torch.AcceleratorError as error:
                    raise DeviceUnavailable(f"{self.device} failed: {error}. Restart the worker.") from error
                self._shrink()
        return found

    def _shrink(self) -> None:
        if self.batch_size > 1:
            self.batch_size //= 2
        elif self.falls_back and self.device.type != "cpu":
            self.device = torch.device("cpu")
            go_on_on_the_cpu(self.network)
        else:
            raise OutOfMemory(f"{self.device} does not have enough free memory for one image.")
        # This does nothing if CUDA was never used.
        torch.cuda.empty_cache()

    def _look(self, views: Sequence[PreparedView], timed: Timed) -> list[ViewSaliency]:
        with full_precision():
            with timed("global"):
                inputs = self.network.reduce(on_device([view.window for view in views], self.device))
                overview: GlobalOutput = self.network.global_network(inputs)
                cells = propose_patches(overview.saliency, self.patches_per_image, self.network.shape.patch_cells)
                # This waits for the device, since the scores decide what is computed next.
                scores = overview.scores.cpu().tolist()
            with timed("local"):
                positive = [index for index, score in enumerate(scores) if self.is_positive(score)]
                local = self.network.look_closely(inputs[positive], cells[positive]).cpu() if positive else None
        local_of = dict(zip(positive, local.numpy(), strict=True)) if local is not None else {}
        maps = overview.saliency.cpu().numpy()
        return [
            ViewSaliency((score[0], score[1]), saliency, cell, local_of.get(index), self.network.shape)
            for index, (score, saliency, cell) in enumerate(zip(scores, maps, cells.cpu().numpy(), strict=True))
        ]
