"""What training and evaluation need of a data set: views with labels, and outlines where somebody drew them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition

Masks = Mapping[FindingKind, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class LabelledView:
    """One view and what its labels say; a view inherits the labels of its breast."""

    image_id: str
    """Unique in its data set, and the same whenever that is read."""
    study_id: str
    image_laterality: Laterality
    view_position: ViewPosition
    benign: bool
    malignant: bool
    split: str = ""
    """The part that the data set itself assigns ("training", "validation", "test"), "" where it assigns none."""
    patient_key: str = ""
    """The same for all studies of one woman where the data set tells ("" where not); never her Patient ID."""

    @property
    def breast_id(self) -> str:
        """The same for all views of one breast in one study."""
        return f"{self.study_id}/{self.image_laterality}"

    def with_kinds(self, kinds: Collection[FindingKind]) -> "LabelledView":
        """The same view, labelled with these kinds and no other."""
        return replace(self, benign=FindingKind.BENIGN in kinds, malignant=FindingKind.MALIGNANT in kinds)

    @property
    def labels(self) -> tuple[bool, bool]:
        """Benign, malignant: the order of GLAM's channels."""
        return self.benign, self.malignant


class LabelledDataset(Protocol):
    """Views that are listed at once and read one by one."""

    @property
    def name(self) -> str:
        """What reports and model cards call it."""
        ...

    @property
    def views(self) -> Sequence[LabelledView]:
        """All of them, in an order that does not change."""
        ...

    def read(self, view: LabelledView) -> Mammogram:
        """The decoded view. Raises UnsupportedMammogram with the reason when it cannot be read."""
        ...

    def masks(self, view: LabelledView) -> Masks | None:
        """Outlined lesions on the grid of `read(view).pixels`; None where nobody outlined any.

        Both kinds are there, each a mask of its own; it is empty where no lesion of its kind is outlined. Raises
        UnsupportedMammogram with the reason when an outline cannot be read.
        """
        ...
