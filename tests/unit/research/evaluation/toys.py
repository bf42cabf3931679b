"""A small data set and models: squares on black, and models that see some of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.models.saliency_model import Evidence, Opinion

SHAPE = (32, 24)
SIDE = 4


def nowhere(woman: int) -> str:
    """Assign no part."""
    return ""


@dataclass(frozen=True)
class ToyDataset:
    """A data set with four views per woman; with `lesions`, those of even numbers have L benign and R malignant."""

    women: Sequence[int]
    split: Callable[[int], str] = nowhere
    lesions: bool = True
    outlined: bool = True
    unreadable: Sequence[str] = ()
    name: str = "toys"

    @property
    def views(self) -> list[LabelledView]:
        """The views, four per woman."""
        return [
            LabelledView(
                image_id=f"{woman}-{side}-{position}",
                study_id=f"study-{woman}",
                image_laterality=side,
                view_position=position,
                benign=self.lesions and woman % 2 == 0 and side is Laterality.LEFT,
                malignant=self.lesions and woman % 2 == 0 and side is Laterality.RIGHT,
                split=self.split(woman),
                breast_density="ABCD"[woman % 4],
            )
            for woman in self.women
            for side in Laterality
            for position in ViewPosition
        ]

    def read(self, view: LabelledView) -> Mammogram:
        """Return noise that depends on the image, brighter in lesions."""
        if view.image_id in self.unreadable:
            raise UnsupportedMammogram("The image is black everywhere.")
        pixels = np.random.default_rng(_seed(view)).integers(1, 800, SHAPE).astype(np.uint16)
        for place, kind in enumerate(CHANNELS):
            if view.labels[place]:
                pixels[square(view, kind)] = 3500
        return Mammogram(view.image_id, view.image_laterality, view.view_position, pixels, None, None)

    def masks(self, view: LabelledView) -> Masks | None:
        """Return one square per label."""
        if not self.outlined:
            return None
        return {
            kind: square(view, kind) if view.labels[place] else np.zeros(SHAPE, dtype=np.bool_)
            for place, kind in enumerate(CHANNELS)
        }


def _seed(view: LabelledView) -> list[int]:
    return list(view.image_id.encode())


def square(view: LabelledView, kind: FindingKind) -> NDArray[np.bool_]:
    """Return the mask of the lesion of a view."""
    row, column = np.random.default_rng([*_seed(view), CHANNELS.index(kind)]).integers(0, (28, 20))
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[row : row + SIDE, column : column + SIDE] = True
    return mask


@dataclass
class ToyModel:
    """A model that sees lesions as they are, under noise of strength `blur`."""

    name: str = "toy"
    blur: float = 0.0
    evidence: bool = False
    looks: int = 0

    def look(self, mammogram: Mammogram) -> Opinion:
        """Return bright pixels as salient for the class of the image's side."""
        self.looks += 1
        noise = np.random.default_rng(list(mammogram.sop_instance_uid.encode())).random((2, *SHAPE)) * self.blur
        side = 0 if mammogram.image_laterality is Laterality.LEFT else 1
        saliency = (0.1 * noise).astype(np.float32)
        saliency[side][mammogram.pixels > 3000] = 0.8
        scores = (float(saliency[0].max()), float(saliency[1].max()))
        closely = np.zeros(SHAPE, dtype=np.bool_)
        closely[:, :12] = True
        return Opinion(scores, saliency, Evidence(saliency, closely) if self.evidence else None)
