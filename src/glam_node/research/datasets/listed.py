"""The data set that every loader returns: its entries are listed once, on first use, and read one by one."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Mammogram
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.problems import DatasetError


def no_masks() -> None:
    """Return None, as the masks of a view without outlines."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One view with the calls that read its pixels and outlines; both can be pickled for worker processes."""

    view: LabelledView
    read: Callable[[], Mammogram]
    masks: Callable[[], Masks | None] = no_masks


class ListedDataset:
    """A LabelledDataset of the entries that `list_entries` returns; `list_entries` is called once.

    The first use of the views raises DatasetError if the data set has errors.
    """

    def __init__(self, name: str, list_entries: Callable[[], Iterable[Entry]]) -> None:
        self._name = name
        self._list_entries = list_entries

    @property
    def name(self) -> str:
        """Name of the data set in reports and model cards."""
        return self._name

    @cached_property
    def views(self) -> tuple[LabelledView, ...]:
        """All views, in the order of their ids."""
        return tuple(entry.view for entry in self._entries.values())

    def read(self, view: LabelledView) -> Mammogram:
        """Decode a view. Raises UnsupportedMammogram with the reason if it cannot be read."""
        with discreetly("image"):
            return self._entries[view.image_id].read()

    def masks(self, view: LabelledView) -> Masks | None:
        """Return one mask for each kind of lesion on the grid of `read(view).pixels`; None without any outline."""
        with discreetly("outline"):
            return self._entries[view.image_id].masks()

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        with _without_warnings():
            entries = sorted(self._list_entries(), key=lambda entry: entry.view.image_id)
        by_id = {entry.view.image_id: entry for entry in entries}
        if len(by_id) < len(entries):
            raise DatasetError(f"{self._name} lists {len(entries) - len(by_id)} images more than once.")
        if not entries:
            raise DatasetError(f"{self._name} has no images. Check its path and options.")
        return by_id


@contextmanager
def discreetly(what: str) -> Iterator[None]:
    """Replace errors of the system by messages without the path, which may contain a patient's name."""
    try:
        with _without_warnings():
            yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnsupportedMammogram(f"The file of the {what} cannot be read: {reason}.") from None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress pydicom's warnings, which quote values that may be a patient's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
