"""Reader of Mammography CAD SRs by the code values in PS3.16 TID 4000, independent of the writing code."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Mark:
    """A single image finding (TID 4006)."""

    tracking_id: str
    tracking_uid: str
    required: bool
    certainty: float
    image: Dataset
    """The entry of its image in the image library."""
    center: NDArray[np.float64]
    """Column, row."""
    outline: NDArray[np.float64]
    """Array of shape (n, 2), column before row."""
    algorithm: list[str]

    @property
    def sop_instance_uid(self) -> str:
        return str(self.image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def name(item: Dataset) -> str:
    """Return the code value of the concept name; empty for references and library entries."""
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


def value(item: Dataset) -> str:
    """Return the code value of a coded item."""
    return str(item.ConceptCodeSequence[0].CodeValue)


def children(item: Dataset, *names: str) -> list[Dataset]:
    """Return the items directly below, only those with these names if any are given."""
    return [child for child in item.get("ContentSequence", []) if not names or name(child) in names]


def child(item: Dataset, wanted: str) -> Dataset:
    """Return the only item of that name directly below."""
    (one,) = children(item, wanted)
    return one


def everything(item: Dataset) -> Iterator[Dataset]:
    """Yield the item and all items below it."""
    yield item
    for one in children(item):
        yield from everything(one)


def referred(report: Dataset, item: Dataset) -> Dataset:
    """Return the item that a reference refers to; identifiers count from 1, the root first."""
    place = item.ReferencedContentItemIdentifier
    root, *rest = [int(number) for number in (place if not isinstance(place, int) else [place])]
    assert root == 1
    found = report
    for number in rest:
        found = found.ContentSequence[number - 1]
    return found


def library(report: Dataset) -> list[Dataset]:
    """Return the entries of the image library."""
    return children(child(report, "111028"))


def summary(report: Dataset) -> Dataset:
    """Return the overall impression."""
    return child(report, "111017")


def impression(report: Dataset) -> str:
    """Return the impression in words."""
    return str(child(summary(report), "111033").TextValue)


def marks(report: Dataset) -> list[Mark]:
    """Return every single image finding, alone or in a composite feature."""
    return [_mark(report, item) for item in everything(summary(report)) if name(item) == "111059"]


def composites(report: Dataset) -> list[list[Mark]]:
    """Return the single image findings of each composite feature."""
    features = [item for item in everything(summary(report)) if name(item) == "111015"]
    return [[_mark(report, item) for item in children(feature, "111059")] for feature in features]


def performed(report: Dataset, status: str, outcome: str) -> list[str]:
    """Return the SOP Instance UIDs of the images below an outcome ("111063", ...) of a status ("111064", "111065")."""
    return [
        str(referred(report, item).ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for container in children(child(report, status), outcome)
        for done in children(container)
        for item in children(done)
        if "ReferencedContentItemIdentifier" in item
    ]


def _mark(report: Dataset, item: Dataset) -> Mark:
    center, outline = child(item, "111010"), child(item, "111041")
    (image,) = {id(one): one for one in (_selected(report, center), _selected(report, outline))}.values()
    return Mark(
        tracking_id=str(child(item, "112039").TextValue),
        tracking_uid=str(child(item, "112040").UID),
        required=value(child(item, "111056")) == "111150",
        certainty=float(child(item, "111012").MeasuredValueSequence[0].NumericValue),
        image=image,
        center=np.array(center.GraphicData, dtype=float),
        outline=np.array(outline.GraphicData, dtype=float).reshape(-1, 2),
        algorithm=[str(text.TextValue) for text in children(item, "111001", "111003", "111002")],
    )


def _selected(report: Dataset, coordinates: Dataset) -> Dataset:
    (reference,) = children(coordinates)
    assert reference.RelationshipType == "SELECTED FROM"
    return referred(report, reference)
