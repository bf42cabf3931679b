"""Check of the laterality and orientation that a header states, by the header alone (PS3.3 C.7.6.1.1.1).

A mislabelled view is dangerous because it is a plausible view of the other breast. A mirrored left breast looks like a
right one, so the header must tell them apart. Seen from the X-ray tube, the columns of a CC view run to the inner side
and those of an MLO view to the feet and the inner side; the rows run to the front of a left breast and to the back of
a right one. Equipment that stores a view mirrored states rows that run the other way; then it must also state the side
that the columns run to. A view that could also be one of the other breast is refused, whatever the cause. Field of
View Rotation and Horizontal Flip (0018,7032 and 7034) are not used: they describe the path from the detector to the
image, not the stored image.
"""

from dataclasses import dataclass

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, ViewPosition

_OUTER_SIDE = {Laterality.LEFT: "L", Laterality.RIGHT: "R"}
_INNER_SIDE = {Laterality.LEFT: "R", Laterality.RIGHT: "L"}


@dataclass(frozen=True, slots=True)
class StatedPose:
    """The orientation of the breast in the stored image, by Patient Orientation (0020,0020)."""

    points_right: bool
    """Whether the chest wall is on the left, so that column numbers increase towards the nipple."""
    upside_down: bool
    """Whether the first stored row is the lowest. Always False for a CC view: upside down, it looks like one of the
    other breast."""


def stated_pose(
    image_laterality: Laterality, view_position: ViewPosition, patient_orientation: tuple[str, str] | None
) -> StatedPose | None:
    """Return the orientation that the header states; None when it states none.

    Args:
        image_laterality: The breast, by the header.
        view_position: The view, by the header.
        patient_orientation: Patient Orientation: the directions that rows and columns run to.

    Raises:
        UnsupportedMammogram: The image is turned by 90 degrees, or its laterality and Patient Orientation contradict
            each other or could be those of the other breast.
    """
    if patient_orientation is None:
        return None
    rows_run, columns_run = (direction.strip().upper() for direction in patient_orientation)
    if not rows_run.startswith(("A", "P")):
        if columns_run.startswith(("A", "P")):
            raise UnsupportedMammogram(
                f"The image is turned by 90 degrees: Patient Orientation is {rows_run}\\{columns_run}."
            )
        return None
    points_right = rows_run.startswith("A")
    reason = (_of_cc if view_position is ViewPosition.CC else _of_mlo)(image_laterality, points_right, columns_run)
    if reason:
        raise UnsupportedMammogram(
            f"Image Laterality says {image_laterality} but Patient Orientation {rows_run}\\{columns_run} {reason}: "
            "the laterality may be wrong, or the image mirrored."
        )
    return StatedPose(points_right, upside_down=view_position is ViewPosition.MLO and "H" in columns_run)


def _of_cc(image_laterality: Laterality, _points_right: bool, columns_run: str) -> str:
    """Return the reason why this CC view may show the other breast; empty when it cannot."""
    if _OUTER_SIDE[image_laterality] in columns_run:
        return "is that of the other breast"
    return ""


def _of_mlo(image_laterality: Laterality, points_right: bool, columns_run: str) -> str:
    """Return the reason why this MLO view may show the other breast; empty when it cannot."""
    to_the_head = "H" in columns_run
    expected = (_OUTER_SIDE if to_the_head else _INNER_SIDE)[image_laterality]
    if expected in columns_run:
        return ""
    if "L" in columns_run or "R" in columns_run:
        return "is that of the other breast"
    ordinary = (image_laterality is Laterality.LEFT) != to_the_head
    return "" if points_right is ordinary else "fits the other breast"
