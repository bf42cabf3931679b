"""Synthetic exams as a data set, with labels drawn per seed, exact masks and any size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.phantom import VIEWS, PhantomView, make_view
from glam_node.inference.reading import read_mammogram
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.problems import DatasetError

DrawnLesions = tuple[tuple[FindingKind, Laterality], ...]

# Separates this random draw from the others made from the same seed.
_LESION_STREAM = 0x6C6573
_LEAST_ROWS, _LEAST_COLUMNS = 64, 48


@dataclass(frozen=True, slots=True)
class PhantomMix:
    """Proportions of breasts without lesions, with benign ones, with malignant ones, and with both."""

    normal: float = 0.4
    benign: float = 0.25
    malignant: float = 0.25
    both: float = 0.1

    def __post_init__(self) -> None:
        """Check the proportions; raise ValueError if one is negative or all are 0."""
        weights = (self.normal, self.benign, self.malignant, self.both)
        if min(weights) < 0 or not 0 < sum(weights) < math.inf:
            raise ValueError(f"the proportions of a mix must not be negative, nor all 0, but are {weights}")

    @classmethod
    def from_text(cls, text: str) -> "PhantomMix":
        """Read a mix such as "0.4,0.25,0.25,0.1", in the order of the fields. Raises ValueError for any other text."""
        normal, benign, malignant, both = map(float, text.split(","))
        return cls(normal, benign, malignant, both)

    def draw(self, seed: int) -> DrawnLesions:
        """Draw the lesions of the exam with this seed; the draw depends on nothing else."""
        kinds: list[tuple[FindingKind, ...]] = [(), (FindingKind.BENIGN,), (FindingKind.MALIGNANT,), tuple(FindingKind)]
        weights = np.array((self.normal, self.benign, self.malignant, self.both))
        generator = np.random.default_rng([seed, _LESION_STREAM])
        drawn = generator.choice(len(kinds), size=len(Laterality), p=weights / weights.sum())
        return tuple(
            (kind, laterality) for laterality, place in zip(Laterality, drawn, strict=True) for kind in kinds[place]
        )


DEFAULT_MIX = PhantomMix()


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Drawing parameters of all phantoms of a data set."""

    rows: int
    columns: int
    varied: bool


def open_phantoms(
    seeds: range | str, *, rows: int = 3328, columns: int = 2560, mix: PhantomMix = DEFAULT_MIX, varied: bool = False
) -> ListedDataset:
    """Open four views of each seed, with their exact masks (empty without a lesion).

    Args:
        seeds: The seeds; as text "first:end", without the end.
        rows: Rows of an image, at least 64.
        columns: Columns of an image, at least 48.
        mix: Proportions of lesions.
        varied: Whether lesions have more sizes, lie anywhere in the breast and have equally bright neighbours that are
            not lesions; otherwise they are drawn as in the demo's exams.

    Raises:
        DatasetError: The text of `seeds` is not such a range, or the images are too small.
    """
    drawn_from = _range(seeds) if isinstance(seeds, str) else seeds
    if rows < _LEAST_ROWS or columns < _LEAST_COLUMNS:
        raise DatasetError(f"Phantoms have at least {_LEAST_ROWS} x {_LEAST_COLUMNS} pixels, not {rows} x {columns}.")
    name = f"phantoms, seeds {drawn_from.start} to {drawn_from.stop - 1}, {rows} x {columns}"
    name += ", varied lesions and distractors" if varied else ""
    return ListedDataset(name, partial(_entries, drawn_from, _Drawing(rows, columns, varied), mix))


def _range(seeds: str) -> range:
    first, colon, end = seeds.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise DatasetError('Seeds of phantoms are written "first:end", for example 0:100 for one hundred exams.')
    return range(int(first), int(end))


def _entries(seeds: range, drawing: _Drawing, mix: PhantomMix) -> Iterator[Entry]:
    for seed in seeds:
        lesions = mix.draw(seed)
        for laterality, view_position in VIEWS:
            view = LabelledView(
                image_id=f"phantom-{seed:06}-{laterality}-{view_position}",
                study_id=f"phantom-{seed:06}",
                image_laterality=laterality,
                view_position=view_position,
                benign=(FindingKind.BENIGN, laterality) in lesions,
                malignant=(FindingKind.MALIGNANT, laterality) in lesions,
            )
            drawn = (seed, laterality, view_position, drawing, lesions)
            yield Entry(view, partial(_read, *drawn), partial(_masks, *drawn))


@lru_cache(maxsize=2)
def _phantom(
    seed: int, laterality: Laterality, view_position: ViewPosition, drawing: _Drawing, lesions: DrawnLesions
) -> PhantomView:
    """Draw a view; the last two views are cached, so that reading pixels and then masks draws a view only once."""
    return make_view(
        seed,
        laterality,
        view_position,
        rows=drawing.rows,
        columns=drawing.columns,
        lesions=lesions,
        varied=drawing.varied,
    )


def _read(
    seed: int, laterality: Laterality, view_position: ViewPosition, drawing: _Drawing, lesions: DrawnLesions
) -> Mammogram:
    return read_mammogram(_phantom(seed, laterality, view_position, drawing, lesions).dataset)


def _masks(
    seed: int, laterality: Laterality, view_position: ViewPosition, drawing: _Drawing, lesions: DrawnLesions
) -> Masks:
    phantom = _phantom(seed, laterality, view_position, drawing, lesions)
    return {FindingKind.BENIGN: phantom.benign_mask, FindingKind.MALIGNANT: phantom.malignant_mask}
