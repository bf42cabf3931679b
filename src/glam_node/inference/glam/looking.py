"""Shows prepared views to the network on its device, as many at once as its memory holds."""

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
    """A network on its device, which one caller at a time has to itself."""

    network: Glam
    device: torch.device
    patches_per_image: int
    is_positive: Callable[[Sequence[float]], bool]
    """By the scores of both classes: whether the local network is asked about the image."""
    batch_size: int
    """Views at once; halved when the device has not the memory."""
    falls_back: bool
    """Whether to go on on the CPU when a single view does not fit."""

    def __post_init__(self) -> None:
        """Nobody has the device."""
        self._turn = threading.Lock()

    def look(self, views: Sequence[PreparedView], timed: Timed) -> list[ViewSaliency]:
        """What the network says of `views`; the local one is asked only about images that may have findings.

        Waits until no other thread looks. Raises DeviceUnavailable when the device is lost or cannot hold one view.
        """
        found: list[ViewSaliency] = []
        with self._turn:
            while len(found) < len(views):
                try:
                    found += self._look(views[len(found) : len(found) + self.batch_size], timed)
                    continue
                except torch.OutOfMemoryError:
                    # What filled the device is alive as long as the error is, whose frames hold it.
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
            raise OutOfMemory(f"{self.device} has not enough free memory for one image.")
        # Does nothing where CUDA was never used.
        torch.cuda.empty_cache()

    def _look(self, views: Sequence[PreparedView], timed: Timed) -> list[ViewSaliency]:
        with full_precision():
            with timed("global"):
                inputs = self.network.reduce(on_device([view.window for view in views], self.device))
                overview: GlobalOutput = self.network.global_network(inputs)
                cells = propose_patches(overview.saliency, self.patches_per_image, self.network.shape.patch_cells)
                # Waits for the device: what follows is decided by numbers.
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
