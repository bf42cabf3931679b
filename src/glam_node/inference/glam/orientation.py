"""Orientation of a stored view: the header's statement, checked against the pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.chest_wall import ShownSide, Sign, shown_side, sign_of_quarter_turn, sign_of_upside_down
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.guard import stated_pose
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition


@dataclass(frozen=True, slots=True)
class Orientation:
    """Orientation of the stored image; the model's window has every breast pointing right, head or outer side up."""

    points_right: bool
    """Whether stored columns increase from the chest wall to the nipple."""
    upside_down: bool = False
    """Whether the first stored row is the lowest (MLO) or the innermost (CC)."""


def orientation_of(mammogram: Mammogram, breast: NDArray[np.bool_]) -> tuple[Orientation, tuple[str, ...]]:
    """Return the orientation of `mammogram`, and remarks if `breast`, a mask of its pixels, leaves doubt.

    Patient Orientation decides; without it, left breasts are taken to point right.

    Raises:
        UnsupportedMammogram: The header contradicts itself, the pixels clearly show the opposite (the view is mirrored
            or its laterality is wrong), the image is turned by 90 degrees, or an MLO view is upside down and its header
            does not say so.
    """
    pose = stated_pose(mammogram.image_laterality, mammogram.view_position, mammogram.patient_orientation)
    if pose is None:
        orientation = Orientation(mammogram.image_laterality is Laterality.LEFT)
        source = f"laterality {mammogram.image_laterality} without Patient Orientation means"
    else:
        orientation = Orientation(pose.points_right, pose.upside_down)
        source = "Patient Orientation says"
    shown = shown_side(breast)
    upright = breast[::-1] if orientation.upside_down else breast
    doubts = (*_upper_edge(mammogram.view_position, upright), *_quarter_turn(mammogram.view_position, breast, shown))
    return orientation, (*_contradicted(source, orientation.points_right, shown), *doubts)


def _upper_edge(view_position: ViewPosition, breast: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return a remark if the view might be upside down; raise UnsupportedMammogram if it clearly is.

    The outline of a CC view does not show that: `reading.py` remarks on one whose header does not state it.
    """
    if view_position is ViewPosition.CC:
        return ()
    sign = sign_of_upside_down(breast)
    if sign is Sign.CLEAR:
        raise UnsupportedMammogram(
            "The axilla is at the lower edge where the lower fold should be: the image is upside down or mirrored."
        )
    if sign is Sign.HINT:
        return ("The outline does not show the axilla at the upper edge: the image may be upside down.",)
    return ()


def _quarter_turn(view_position: ViewPosition, breast: NDArray[np.bool_], shown: ShownSide | None) -> tuple[str, ...]:
    """Return a remark if the view might be turned by 90 degrees; raise UnsupportedMammogram if it clearly is."""
    sign = sign_of_quarter_turn(breast, shown, has_axilla=view_position is ViewPosition.MLO)
    if sign is Sign.CLEAR:
        raise UnsupportedMammogram(
            "The image seems to be turned by 90 degrees: the chest wall is at its upper or lower edge."
        )
    if sign is Sign.HINT:
        return (
            "The breast reaches the upper or lower edge more than the side: the image may be turned by 90 degrees.",
        )
    return ()


def _contradicted(source: str, points_right: bool, shown: ShownSide | None) -> tuple[str, ...]:
    said = f"{source} that the breast points {_word(points_right)}"
    if shown is None:
        return (f"{said}; its outline does not show whether that is true.",)
    if shown.points_right == points_right:
        return ()
    if shown.certain:
        raise UnsupportedMammogram(
            f"{said}, but it points {_word(shown.points_right)}: the image is mirrored or its laterality is wrong."
        )
    return (f"{said}, but its outline hints at the opposite: the image may be mirrored or its laterality wrong.",)


def _word(points_right: bool) -> str:
    return "right" if points_right else "left"
