"""What a run tells while it goes on: progress to whoever called, scalars and pictures to TensorBoard."""

from pathlib import Path
from typing import Protocol

import torch
from torch.nn.functional import adaptive_avg_pool2d

from glam_node.inference.glam.network import GlamOutput
from glam_node.inference.glam.patches import cut_patches


class Journal(Protocol):
    """Where scalars and pictures of a run go."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """One more point of a curve."""
        ...

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """A view and, where there is one, a patch beside their maps."""
        ...

    def close(self) -> None:
        """Everything is on disk."""
        ...


class NoJournal:
    """Keeps nothing: for processes that do not lead, and where TensorBoard is not installed."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Nothing."""

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TensorBoardJournal:
    """Event files in `folder`, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def scalar(self, name: str, value: float, step: int) -> None:
        """One more point of the curve `name`."""
        self._writer.add_scalar(name, value, step)

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """The first view and its first patch, if any, each beside its benign and its malignant map."""
        self._panels(f"{name}/view", inputs[0, 0], output.overview.saliency[0], step)
        if not output.patch_cells.shape[1]:
            return
        patch = cut_patches(inputs, output.patch_cells[:1, :1].cpu(), output.shape)[0, 0]
        self._panels(f"{name}/patch", patch, output.local_saliency[0, 0], step)

    def _panels(self, name: str, pixels: torch.Tensor, maps: torch.Tensor, step: int) -> None:
        """Grey `pixels` as small as `maps` (2 x H x W)."""
        small = adaptive_avg_pool2d(pixels[None, None].float().cpu(), (maps.shape[1], maps.shape[2]))[0, 0]
        low, high = small.amin(), small.amax()
        grey = (small - low) / (high - low).clamp_min(1e-6)
        self._writer.add_image(name, torch.cat([grey, *maps.float().cpu()], dim=1)[None], step)

    def close(self) -> None:
        """Everything is on disk."""
        self._writer.close()


def open_journal(folder: Path, leads: bool) -> Journal:
    """TensorBoard's where it is installed and this process leads."""
    if not leads:
        return NoJournal()
    try:
        return TensorBoardJournal(folder)
    except ImportError:
        return NoJournal()
