"""The interface of a labelled data set: views with labels, and outlines of lesions if there are any."""

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
    """One view with its labels, which are those of its breast."""

    image_id: str
    """An id that is unique in the data set and does not change between reads."""
    study_id: str
    image_laterality: Laterality
    view_position: ViewPosition
    benign: bool
    malignant: bool
    split: str = ""
    """The part that the data set itself assigns: "training", "validation", "test", or "" for none."""
    patient_key: str = ""
    """A key shared by all studies of one patient, "" if the data set does not identify patients; never a Patient ID."""
    breast_density: str = ""
    """Density as the data set's reader assessed it: "A" to "D" of BI-RADS, "" if the data set does not say."""

    @property
    def breast_id(self) -> str:
        """An id shared by all views of one breast in one study."""
        return f"{self.study_id}/{self.image_laterality}"

    def with_kinds(self, kinds: Collection[FindingKind]) -> "LabelledView":
        """Return the same view, labelled with exactly these kinds."""
        return replace(self, benign=FindingKind.BENIGN in kinds, malignant=FindingKind.MALIGNANT in kinds)

    @property
    def labels(self) -> tuple[bool, bool]:
        """Benign and malignant label, in the order of GLAM's channels."""
        return self.benign, self.malignant


class LabelledDataset(Protocol):
    """A data set whose views are listed at once and read one by one."""

    @property
    def name(self) -> str:
        """Name of the data set in reports and model cards."""
        ...

    @property
    def views(self) -> Sequence[LabelledView]:
        """All views, in an order that does not change."""
        ...

    def read(self, view: LabelledView) -> Mammogram:
        """Decode a view. Raises UnsupportedMammogram with the reason if it cannot be read."""
        ...

    def masks(self, view: LabelledView) -> Masks | None:
        """Return one mask for each kind of lesion on the grid of `read(view).pixels`; None without any outline.

        The mask of a kind without an outlined lesion is empty.

        Raises:
            UnsupportedMammogram: An outline cannot be read; the message gives the reason.
        """
        ...
