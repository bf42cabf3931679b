"""One decoded mammographic view, which is the input of a predictor."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Laterality(StrEnum):
    """The breast that a view shows, as in Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class ViewPosition(StrEnum):
    """The two screening projections (PS3.16 CID 4014)."""

    CC = "CC"
    MLO = "MLO"


@dataclass(frozen=True, slots=True, eq=False)
class Mammogram:
    """A decoded screening view; its pixels are neither flipped nor cropped, and brighter is denser."""

    sop_instance_uid: str
    image_laterality: Laterality
    view_position: ViewPosition
    pixels: NDArray[np.uint16]
    """Rows x Columns, 0 to 2^bits_stored - 1. MONOCHROME1 is already inverted and the VOI LUT applied, so that bright
    is dense. Background is exactly 0."""
    imager_pixel_spacing: tuple[float, float] | None
    """Imager Pixel Spacing (0018,1164): row and column spacing at the detector, mm; None when it is not stated."""
    patient_orientation: tuple[str, str] | None
    """Patient Orientation (0020,0020): the directions that rows and columns run to, e.g. ("A", "R"); None when absent
    or not two values."""
    bits_stored: int = 16
    """Bits Stored (0028,0101)."""
    manufacturer: str = ""
    """Manufacturer (0008,0070); empty when it is not stated."""
    remarks: tuple[str, ...] = ()
    """Remarks for the reader about how the image was read, in plain words."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and Columns of the source image."""
        rows, columns = self.pixels.shape
        return int(rows), int(columns)
