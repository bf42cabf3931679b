"""How often the guard refuses views as they are, and copies of them that are mirrored, turned or upside down.

A copy keeps the header of its original, as if equipment had stored the pixels in another way. A copy of a view that is
itself refused is not counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.preprocessing import examine
from glam_node.inference.loading import read_mammogram_file
from glam_node.inference.mammogram import Mammogram
from glam_node.research.datasets.labelled import LabelledDataset
from glam_node.research.datasets.listed import discreetly

Pixels = NDArray[np.uint16]

AS_STORED = "as stored"
COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda pixels: pixels[:, ::-1],
    "turned by 90 degrees": np.rot90,
    "turned by 270 degrees": lambda pixels: np.rot90(pixels, 3),
    "upside down": lambda pixels: pixels[::-1],
    "turned by 180 degrees": lambda pixels: pixels[::-1, ::-1],
}
# Words of the remarks that are about orientation
_ABOUT_ORIENTATION = ("upside down", "turned by", "may be mirrored", "does not show whether that is true")


@dataclass(slots=True)
class GuardCounts:
    """How the guard judged the views of one source in one orientation."""

    refused: int = 0
    remarked: int = 0
    passed: int = 0
    """Views without any remark on their orientation."""

    @property
    def views(self) -> int:
        """The number of views."""
        return self.refused + self.remarked + self.passed


@dataclass(slots=True)
class GuardReport:
    """The counts of all sources, and the reasons of refusals of views as they are stored."""

    counts: dict[tuple[str, str, str], GuardCounts] = field(default_factory=lambda: defaultdict(GuardCounts))
    """By source, view position and orientation, which is AS_STORED or one of COPIES."""
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source and reason, images that could not be read as a view."""
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source and reason, views that the guard refused as they are stored."""


Read = Callable[[], Mammogram]


def views_of_folder(folder: Path) -> Iterator[tuple[str, Read]]:
    """Yield for each file under `folder` the folder right under it that holds the file, and a call that reads it."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        within = path.relative_to(folder).parts
        yield (within[0] if len(within) > 1 else folder.name), partial(read_mammogram_file, path)


def views_of_dataset(dataset: LabelledDataset) -> Iterator[tuple[str, Read]]:
    """Yield for each view of a data set its name, and a call that reads the view."""
    for view in dataset.views:
        yield dataset.name, partial(dataset.read, view)


def report_on(views: Iterable[tuple[str, Read]], tell: Callable[[int], None] = lambda _: None) -> GuardReport:
    """Judge every view and its copies.

    Args:
        views: The source and the call that reads it, for each view.
        tell: Called with the number of images that were judged.
    """
    report = GuardReport()
    for number, (source, read) in enumerate(views, start=1):
        try:
            with discreetly("image"):
                mammogram = read()
        except UnsupportedMammogram as error:
            report.unread[source, str(error)] += 1
        else:
            _judge(report, source, mammogram)
        tell(number)
    return report


def _judge(report: GuardReport, source: str, mammogram: Mammogram) -> None:
    view_position = str(mammogram.view_position)
    reason = _count(report.counts[source, view_position, AS_STORED], mammogram)
    if reason:
        report.refusals[source, reason] += 1
        return
    for name, turned in COPIES.items():
        copy = replace(mammogram, pixels=np.ascontiguousarray(turned(mammogram.pixels)))
        _count(report.counts[source, view_position, name], copy)


def _count(counts: GuardCounts, mammogram: Mammogram) -> str:
    """Add one view to the counts; return the reason if the guard refuses it."""
    try:
        remarks = (*mammogram.remarks, *examine(mammogram).doubts)
    except UnsupportedMammogram as error:
        counts.refused += 1
        return str(error)
    if any(words in remark for words in _ABOUT_ORIENTATION for remark in remarks):
        counts.remarked += 1
    else:
        counts.passed += 1
    return ""
