"""Views prepared for the network once and stored on disk, since reading and decoding take longer than training."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.preprocessing import prepare
from glam_node.inference.glam.window import WINDOW_SHAPE
from glam_node.research.datasets.labelled import LabelledDataset, LabelledView
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.models.networks import reduced

Tell = Callable[[str, int, int], None]
_PREPARED_FILE, _LIST_FILE = "views.npy", "views.json"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedViews:
    """The views of a data set that could be prepared, in the data set's order."""

    inputs: NDArray[np.float16]
    """N x H x W, memory-mapped: standardised windows averaged over squares of `reduction` pixels."""
    labels: NDArray[np.float32]
    """N x 2, benign and malignant, 0 or 1."""
    failures: tuple[str, ...]
    """The views left out, each with its id and reason."""

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.inputs)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs (B x 1 x H x W, float32) and labels (B x 2) of these views."""
        chosen = indices.numpy()
        inputs = torch.from_numpy(np.asarray(self.inputs[chosen], dtype=np.float32))
        return inputs[:, None], torch.from_numpy(self.labels[chosen])


def prepare_views(
    dataset: LabelledDataset, views: Sequence[LabelledView], reduction: int, folder: Path, workers: int, tell: Tell
) -> PreparedViews:
    """Prepare `views` into `folder` by `workers` processes (0 for this one), or use those that an earlier run prepared.

    Raises:
        DatasetError: No view could be prepared.
    """
    listed = _listed(dataset, views, reduction)
    known = _read_list(folder)
    if known is None or known["of"] != listed:
        known = _prepare(dataset, views, reduction, folder, workers, tell) | {"of": listed}
        _write_list(folder, known)
    kept = known["kept"]
    if not kept:
        raise DatasetError(f"No view of {dataset.name} could be prepared: {known['failures'][:1]}")
    inputs = np.load(folder / _PREPARED_FILE, mmap_mode="r")[: len(kept)]
    labels = np.array([views[index].labels for index in kept], dtype=np.float32)
    return PreparedViews(inputs, labels, tuple(known["failures"]))


def _listed(dataset: LabelledDataset, views: Sequence[LabelledView], reduction: int) -> str:
    """Return a digest that identifies the views and their preparation."""
    text = json.dumps([dataset.name, reduction, [(view.image_id, *view.labels) for view in views]])
    return hashlib.sha256(text.encode()).hexdigest()


def _read_list(folder: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads((folder / _LIST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return known


def _write_list(folder: Path, known: dict[str, Any]) -> None:
    part = folder / f"{_LIST_FILE}.part"
    part.write_text(json.dumps(known), encoding="utf-8")
    part.replace(folder / _LIST_FILE)


def _prepare(
    dataset: LabelledDataset, views: Sequence[LabelledView], reduction: int, folder: Path, workers: int, tell: Tell
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LIST_FILE).unlink(missing_ok=True)
    size = (WINDOW_SHAPE[0] // reduction, WINDOW_SHAPE[1] // reduction)
    inputs = np.lib.format.open_memmap(folder / _PREPARED_FILE, mode="w+", dtype=np.float16, shape=(len(views), *size))
    kept: list[int] = []
    failures: list[str] = []
    loader = DataLoader(_Preparing(dataset, views, reduction), batch_size=None, num_workers=workers)
    for index, prepared in enumerate(loader):
        if isinstance(prepared, str):
            failures.append(f"{views[index].image_id}: {prepared}")
        else:
            inputs[len(kept)] = prepared
            kept.append(index)
        tell(f"preparing {dataset.name}", index + 1, len(views))
    inputs.flush()
    return {"kept": kept, "failures": failures}


class _Preparing(Dataset[Any]):
    """A data set that prepares views one by one in worker processes."""

    def __init__(self, dataset: LabelledDataset, views: Sequence[LabelledView], reduction: int) -> None:
        self._dataset = dataset
        self._views = views
        self._reduction = reduction

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> NDArray[np.float16] | str:
        """Return the prepared view, or the reason why it cannot be prepared."""
        torch.set_num_threads(1)
        try:
            window = prepare(self._dataset.read(self._views[index])).window
        except UnsupportedMammogram as error:
            return str(error)
        return reduced(window, self._reduction).astype(np.float16)
