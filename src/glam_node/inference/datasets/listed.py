"""The data set that every loader gives: entries listed once, when they are first asked for, and read one by one."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from glam_node.inference.datasets.labelled import LabelledView, Masks
from glam_node.inference.datasets.problems import DatasetError
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Mammogram


def no_masks() -> None:
    """What `masks` gives where nobody outlined anything."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One view and how to get its pixels and outlines; both calls survive pickling, for worker processes."""

    view: LabelledView
    read: Callable[[], Mammogram]
    masks: Callable[[], Masks | None] = no_masks


class ListedDataset:
    """A LabelledDataset over entries that `list_entries` gives, which is called once.

    Raises DatasetError when it is first asked for its views and the data set is not as it should be.
    """

    def __init__(self, name: str, list_entries: Callable[[], Iterable[Entry]]) -> None:
        self._name = name
        self._list_entries = list_entries

    @property
    def name(self) -> str:
        """What reports and model cards call it."""
        return self._name

    @cached_property
    def views(self) -> tuple[LabelledView, ...]:
        """All of them, in the order of their ids."""
        return tuple(entry.view for entry in self._entries.values())

    def read(self, view: LabelledView) -> Mammogram:
        """The decoded view. Raises UnsupportedMammogram with the reason when it cannot be read."""
        with _discreetly("image"):
            return self._entries[view.image_id].read()

    def masks(self, view: LabelledView) -> Masks | None:
        """Outlined lesions on the grid of `read(view).pixels`; None where nobody outlined any."""
        with _discreetly("outline"):
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
def _discreetly(what: str) -> Iterator[None]:
    """Paths may hold patients' names: what the system says of them is told without."""
    try:
        with _without_warnings():
            yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnsupportedMammogram(f"The file of the {what} cannot be read: {reason}.") from None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """pydicom warns with the offending value, which may be a patient's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
