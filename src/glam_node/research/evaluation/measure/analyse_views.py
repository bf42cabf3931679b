"""Reading of a data set view by view and analysis of each view by a model; views that fail are listed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.research.datasets.labelled import LabelledDataset, LabelledView, Masks
from glam_node.research.models.saliency_model import Opinion, SaliencyModel, require_valid

Row = TypeVar("Row")
Progress = Callable[[str, int, int], None]
"""Callback with the current task, the number of views done, and their total."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One view that could not be measured, with the reason."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Looked(Generic[Row]):
    """The measured rows of some views, and the views that failed."""

    rows: list[Row]
    failures: list[Failure]


def silent(doing: str, done: int, total: int) -> None:
    """Show no progress."""


def look_at(
    dataset: LabelledDataset,
    views: Iterable[LabelledView],
    model: SaliencyModel,
    measure: Callable[[LabelledView, Opinion, Masks | None], Row],
    progress: Callable[[int, int], None],
) -> Looked[Row]:
    """Return one row per view that could be read and analysed; one view is in memory at a time."""
    wanted = list(views)
    looked: Looked[Row] = Looked([], [])
    for done, view in enumerate(wanted, start=1):
        try:
            looked.rows.append(_row(dataset, view, model, measure))
        except UnsupportedMammogram as error:
            looked.failures.append(Failure(view.image_id, str(error)))
        except OSError as error:
            # Leave the path out, since folders may be named after patients.
            looked.failures.append(Failure(view.image_id, f"It cannot be read: {error.strerror or error}."))
        progress(done, len(wanted))
    return looked


def _row(
    dataset: LabelledDataset,
    view: LabelledView,
    model: SaliencyModel,
    measure: Callable[[LabelledView, Opinion, Masks | None], Row],
) -> Row:
    mammogram = dataset.read(view)
    masks = dataset.masks(view)
    for kind, mask in (masks or {}).items():
        if mask.shape != mammogram.shape:
            raise UnsupportedMammogram(f"Its {kind} mask is {mask.shape}, the image is {mammogram.shape}.")
    opinion = model.look(mammogram)
    require_valid(opinion, mammogram.shape)
    return measure(view, opinion, masks)
