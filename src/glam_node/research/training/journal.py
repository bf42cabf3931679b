"""Journal of a training run: scalars and pictures for TensorBoard."""

from pathlib import Path
from typing import Protocol

import torch
from torch.nn.functional import adaptive_avg_pool2d

from glam_node.inference.glam.network import GlamOutput
from glam_node.inference.glam.patches import cut_patches


class Journal(Protocol):
    """Receiver of a run's scalars and pictures."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Add a point to the curve `name`."""
        ...

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """Add a picture of the first view and one of its first patch, if any, next to their maps."""
        ...

    def close(self) -> None:
        """Write everything to disk."""
        ...


class NoJournal:
    """A journal that keeps nothing, for processes that do not lead and for machines without TensorBoard."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Do nothing."""

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoardJournal:
    """A journal of event files in `folder`, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def scalar(self, name: str, value: float, step: int) -> None:
        """Add a point to the curve `name`."""
        self._writer.add_scalar(name, value, step)

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """Add a picture of the first view and one of its first patch, if any, next to its benign and malignant map."""
        self._panels(f"{name}/view", inputs[0, 0], output.overview.saliency[0], step)
        if not output.patch_cells.shape[1]:
            return
        patch = cut_patches(inputs, output.patch_cells[:1, :1].cpu(), output.shape)[0, 0]
        self._panels(f"{name}/patch", patch, output.local_saliency[0, 0], step)

    def _panels(self, name: str, pixels: torch.Tensor, maps: torch.Tensor, step: int) -> None:
        """Add a picture of grey `pixels`, reduced to the size of `maps` (2 x H x W), next to the maps."""
        small = adaptive_avg_pool2d(pixels[None, None].float().cpu(), (maps.shape[1], maps.shape[2]))[0, 0]
        low, high = small.amin(), small.amax()
        grey = (small - low) / (high - low).clamp_min(1e-6)
        self._writer.add_image(name, torch.cat([grey, *maps.float().cpu()], dim=1)[None], step)

    def close(self) -> None:
        """Write everything to disk."""
        self._writer.close()


def open_journal(folder: Path, leads: bool) -> Journal:
    """Return a TensorBoard journal if TensorBoard is installed and this process leads, else one that keeps nothing."""
    if not leads:
        return NoJournal()
    try:
        return TensorBoardJournal(folder)
    except ImportError:
        return NoJournal()
