"""One mammographic view as the predictors see it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Laterality(StrEnum):
    """Image Laterality (0020,0062) of one breast."""

    LEFT = "L"
    RIGHT = "R"


class ViewPosition(StrEnum):
    """The two screening projections, PS3.16 CID 4014."""

    CC = "CC"
    MLO = "MLO"


@dataclass(frozen=True, slots=True, eq=False)
class Mammogram:
    """A decoded screening view: pixels as stored (not flipped, not cropped), brighter meaning denser."""

    sop_instance_uid: str
    image_laterality: Laterality
    view_position: ViewPosition
    pixels: NDArray[np.uint16]
    """Rows x Columns, 0 to 2^bits_stored - 1; bright is dense: MONOCHROME1 is already inverted, VOI LUT applied.
    Background is exactly 0."""
    imager_pixel_spacing: tuple[float, float] | None
    """Row and column spacing at the detector, mm (0018,1164); None when the image does not say."""
    patient_orientation: tuple[str, str] | None
    """(0020,0020): where rows run to and where columns run to, e.g. ("A", "R"); None when absent or not two values."""
    bits_stored: int = 16
    """Bits Stored (0028,0101)."""
    manufacturer: str = ""
    """Manufacturer (0008,0070); empty when the image does not say."""
    remarks: tuple[str, ...] = ()
    """What a reader should know about how the image was read, in plain words."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and Columns of the source image."""
        rows, columns = self.pixels.shape
        return int(rows), int(columns)
