"""Whether what a view says of its side and its pose can be true: the header by itself (PS3.3 C.7.6.1.1.1).

A mislabelled view is dangerous because it is a plausible view of the other breast. Mirroring exchanges left and right
breasts, so the header must tell them apart: seen from the X-ray tube, the columns of a CC view run to the inner side,
those of an MLO view to the feet and the inner side, and its rows to the front of a left breast, to the back of a right
one. Equipment that stores a view mirrored says so with rows that run the other way; then the side that columns run to
must be stated as well. What would fit the other breast as well is refused, however the image may have come to be so.
Field of View Rotation and Horizontal Flip (0018,7032 and 7034) tell of the way from the detector to the image, and
nothing of the image as it is stored.
"""

from dataclasses import dataclass

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, ViewPosition

_OUTER_SIDE = {Laterality.LEFT: "L", Laterality.RIGHT: "R"}
_INNER_SIDE = {Laterality.LEFT: "R", Laterality.RIGHT: "L"}


@dataclass(frozen=True, slots=True)
class StatedPose:
    """What Patient Orientation says."""

    points_right: bool
    """From the chest wall to the nipple the stored columns increase."""
    upside_down: bool
    """The first stored row is the lowest (MLO only: nothing tells an upside-down CC view from the other breast's)."""


def stated_pose(
    image_laterality: Laterality, view_position: ViewPosition, patient_orientation: tuple[str, str] | None
) -> StatedPose | None:
    """The pose that the header states; None when it states none.

    Raises UnsupportedMammogram for an image that is turned by 90 degrees, and for one whose laterality and Patient
    Orientation contradict each other or would fit the other breast as well.
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
    """Why such a CC view may be one of the other breast; empty when it cannot."""
    if _OUTER_SIDE[image_laterality] in columns_run:
        return "is that of the other breast"
    return ""


def _of_mlo(image_laterality: Laterality, points_right: bool, columns_run: str) -> str:
    """Why such an MLO view may be one of the other breast; empty when it cannot."""
    to_the_head = "H" in columns_run
    expected = (_OUTER_SIDE if to_the_head else _INNER_SIDE)[image_laterality]
    if expected in columns_run:
        return ""
    if "L" in columns_run or "R" in columns_run:
        return "is that of the other breast"
    ordinary = (image_laterality is Laterality.LEFT) != to_the_head
    return "" if points_right is ordinary else "fits the other breast"
