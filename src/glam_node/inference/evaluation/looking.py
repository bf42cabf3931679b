"""Reading a data set view by view and asking a model about each; nothing is dropped without being named."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from glam_node.inference.datasets.labelled import LabelledDataset, LabelledView, Masks
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.evaluation.model import Opinion, SaliencyModel, require_valid

Row = TypeVar("Row")
Progress = Callable[[str, int, int], None]
"""What is being done, how many views are done, how many there are."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One view that could not be measured."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Looked(Generic[Row]):
    """What became of some views."""

    rows: list[Row]
    failures: list[Failure]


def silent(doing: str, done: int, total: int) -> None:
    """No progress is shown."""


def look_at(
    dataset: LabelledDataset,
    views: Iterable[LabelledView],
    model: SaliencyModel,
    measure: Callable[[LabelledView, Opinion, Masks | None], Row],
    progress: Callable[[int, int], None],
) -> Looked[Row]:
    """One row per view that could be read and looked at; one view is in memory at a time."""
    wanted = list(views)
    looked: Looked[Row] = Looked([], [])
    for done, view in enumerate(wanted, start=1):
        try:
            looked.rows.append(_row(dataset, view, model, measure))
        except UnsupportedMammogram as error:
            looked.failures.append(Failure(view.image_id, str(error)))
        except OSError as error:
            # Without the path: folders are named after patients.
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
