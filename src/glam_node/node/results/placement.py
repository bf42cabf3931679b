"""Where the frames of a result lie: as the image does."""

import highdicom as hd
from pydicom.dataset import Dataset

# A projection has no plane in space. Viewers want one to lay the mask over the image; this one says "as the image is".
_ROW_AND_COLUMN_COSINES = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_ORIGIN = (0.0, 0.0, 0.0)
_SLICE_THICKNESS_MM = 1.0


def place_frames(result: Dataset, header: Dataset) -> None:
    """Has what viewers and readers need of frames without Frame of Reference; highdicom leaves it out.

    Without Patient Orientation dciodvfy finds an error; without pixel measures, orientation and position dcmqi cannot
    read the object and OHIF does not show it. An image that states no spacing gets none of them: nothing is invented.
    """
    result.PatientOrientation = header.get("PatientOrientation", "")
    if "ImagerPixelSpacing" not in header:
        return
    shared = result.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence = hd.PixelMeasuresSequence(
        pixel_spacing=header.ImagerPixelSpacing, slice_thickness=_SLICE_THICKNESS_MM
    )
    shared.PlaneOrientationSequence = hd.PlaneOrientationSequence(
        coordinate_system=hd.CoordinateSystemNames.PATIENT, image_orientation=_ROW_AND_COLUMN_COSINES
    )
    for frame in result.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = hd.PlanePositionSequence(
            coordinate_system=hd.CoordinateSystemNames.PATIENT, image_position=_ORIGIN
        )
