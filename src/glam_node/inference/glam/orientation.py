"""Which way up a stored view is and which way its breast points: what the header says against what the pixels show."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition

# A breast ends within this part of the image's width of the edge at its chest wall.
_TOUCHING = 0.01
# The half of the breast at the chest wall has at least so many times the area of the other half.
_CLEARLY_MORE = 1.15


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the stored image lies; a model sees every breast pointing right, head or outer side up."""

    points_right: bool
    """From the chest wall to the nipple the stored columns increase."""
    upside_down: bool = False
    """The first stored row is the lowest (MLO) or the innermost (CC)."""


def orientation_of(mammogram: Mammogram, breast: NDArray[np.bool_]) -> tuple[Orientation, tuple[str, ...]]:
    """How `mammogram` lies, and remarks where the header is silent or contradicted by `breast`, a mask of its pixels.

    Patient Orientation (PS3.3 C.7.6.1.1.1) is believed; without it the customary side, unless the pixels clearly show
    the other. Raises UnsupportedMammogram for an image that is turned by 90 degrees.
    """
    said = _said_direction(mammogram)
    shown = shown_direction(breast)
    upside_down = _is_upside_down(mammogram)
    if said is not None:
        contradicted = shown is not None and shown != said
        remarks = (
            (f"Patient Orientation says that the breast points {_word(said)}, the pixels show the opposite.",)
            if contradicted
            else ()
        )
        return Orientation(said, upside_down), remarks
    customary = mammogram.image_laterality is Laterality.LEFT
    if shown is None or shown == customary:
        return Orientation(customary, upside_down), ()
    remark = (
        f"Patient Orientation is missing and the breast points {_word(shown)}, which is unusual for "
        f"laterality {mammogram.image_laterality}: laterality may be wrong, or the image mirrored."
    )
    return Orientation(shown, upside_down), (remark,)


def _word(points_right: bool) -> str:
    return "right" if points_right else "left"


def _said_direction(mammogram: Mammogram) -> bool | None:
    """Whether rows run to the front of the patient; None when the header does not tell."""
    if mammogram.patient_orientation is None:
        return None
    rows_run, columns_run = (direction.upper() for direction in mammogram.patient_orientation)
    towards_front, towards_back = rows_run.startswith("A"), rows_run.startswith("P")
    if not (towards_front or towards_back) and columns_run.startswith(("A", "P")):
        raise UnsupportedMammogram(
            f"The image is turned by 90 degrees: Patient Orientation is {rows_run}\\{columns_run}."
        )
    return towards_front if towards_front or towards_back else None


def _is_upside_down(mammogram: Mammogram) -> bool:
    """MLO columns run to the feet, CC columns from the outer to the inner side; else the image is upside down."""
    if mammogram.patient_orientation is None:
        return False
    columns_run = mammogram.patient_orientation[1].upper()
    if mammogram.view_position is ViewPosition.MLO:
        return "H" in columns_run
    outer_side = mammogram.image_laterality.value
    return outer_side in columns_run


def shown_direction(breast: NDArray[np.bool_]) -> bool | None:
    """Whether a breast of this shape points right: it touches the edge at its chest wall and is larger there.

    None when the mask does not tell.
    """
    per_column = np.count_nonzero(breast, axis=0)
    occupied = np.flatnonzero(per_column)
    if occupied.size == 0:
        return None
    first, last = int(occupied[0]), int(occupied[-1])
    near = int(_TOUCHING * breast.shape[1])
    touches_left, touches_right = first <= near, breast.shape[1] - 1 - last <= near
    if touches_left != touches_right:
        return touches_left
    middle = (first + last + 1) // 2
    left, right = int(per_column[first:middle].sum()), int(per_column[middle : last + 1].sum())
    if max(left, right) < _CLEARLY_MORE * min(left, right):
        return None
    return left > right
