"""Orientation of a stored view: the header's statement, checked against the pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glam_node.inference.chest_wall import ShownSide, looks_turned, looks_upside_down, shown_side
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
    _refuse_upside_down(mammogram.view_position, breast[::-1] if orientation.upside_down else breast)
    shown = shown_side(breast)
    # In an MLO view the axilla also reaches the upper edge, so a clear chest wall at one side decides.
    sides_tell = mammogram.view_position is ViewPosition.MLO and shown is not None and shown.certain
    if looks_turned(breast) and not sides_tell:
        raise UnsupportedMammogram("The image seems to be turned by 90 degrees: the breast reaches neither side of it.")
    return orientation, _contradicted(source, orientation.points_right, shown)


def _refuse_upside_down(view_position: ViewPosition, breast: NDArray[np.bool_]) -> None:
    if view_position is ViewPosition.MLO and looks_upside_down(breast):
        raise UnsupportedMammogram(
            "The axilla is at the lower edge where the lower fold should be: the image is upside down or mirrored."
        )


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
