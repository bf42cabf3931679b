"""What a run tells while it goes on: progress to whoever called, scalars and pictures to TensorBoard."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from glam_node.inference.findings import FindingKind
from glam_node.inference.glam.network import GlamOutput

Tell = Callable[[str, int, int], None]
CHANNELS = (FindingKind.BENIGN, FindingKind.MALIGNANT)
_THUMBNAIL_ROWS = 368


class Journal(Protocol):
    """Where scalars and pictures of a run go."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """One more point of a curve."""
        ...

    def picture(self, name: str, output: GlamOutput, inputs: torch.Tensor, step: int) -> None:
        """The first view of a batch beside its fused maps."""
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
        """The first view, its benign and its malignant map side by side, grey."""
        rows = inputs.shape[2]
        stride = max(1, rows // _THUMBNAIL_ROWS)
        view = inputs[0, 0, ::stride, ::stride].float().cpu().numpy()
        view = (view - view.min()) / max(float(np.ptp(view)), 1e-6)
        reach = output.shape.reduction * stride
        maps = output.fused_saliency(0)[:, ::reach, ::reach].float().cpu().numpy()
        panels = np.concatenate([view, *(each[: view.shape[0], : view.shape[1]] for each in maps)], axis=1)
        self._writer.add_image(name, panels[None], step)

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
