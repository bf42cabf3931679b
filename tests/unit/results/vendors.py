"""Views as each vendor's detectors deliver them, with findings at the far corner and in the middle."""

from dataclasses import dataclass, replace

import numpy as np

from glam_node.inference.findings import FindingKind, SaliencyMap
from tests.unit.results.analysed import Analysed, analysed_exam, finding

_STEP = 8


@dataclass(frozen=True)
class Vendor:
    """The peculiarities of a vendor's images."""

    manufacturer: str
    rows: int
    columns: int
    imager_pixel_spacing: float
    view: str
    photometric_interpretation: str = "MONOCHROME2"
    bits_stored: int = 12


VENDORS = {
    "GE small": Vendor("GE MEDICAL SYSTEMS", 2294, 1914, 0.094, "L CC"),
    "GE large": Vendor("GE MEDICAL SYSTEMS", 3062, 2394, 0.094, "R MLO"),
    "Hologic": Vendor("HOLOGIC, Inc.", 3328, 2560, 0.065, "L MLO"),
    "Hologic, 16 bits": Vendor("HOLOGIC, Inc.", 5355, 4915, 0.05, "R CC", "MONOCHROME1", 16),
    "Siemens": Vendor("SIEMENS", 3518, 2800, 0.085, "R CC"),
}


def vendor_exam(name: str, *, found: bool = True) -> Analysed:
    """Return one view, with a malignant finding in the last row and column and a separate benign one, or with none."""
    vendor = VENDORS[name]
    shape = (vendor.rows, vendor.columns)
    exam = analysed_exam(64, 48, photometric_interpretation=vendor.photometric_interpretation).only(vendor.view)
    source = exam.source(vendor.view)
    source.Rows, source.Columns = shape
    source.Manufacturer = vendor.manufacturer
    source.ImagerPixelSpacing = [vendor.imager_pixel_spacing] * 2
    source.BitsStored, source.HighBit = vendor.bits_stored, vendor.bits_stored - 1
    source.WindowCenter, source.WindowWidth = 2 ** (vendor.bits_stored - 1), 2**vendor.bits_stored
    source.PixelData = np.full(shape, 2 ** (vendor.bits_stored - 2), dtype="<u2").tobytes()
    corner = np.tri(61, 43, dtype=np.int_)
    findings = (
        finding(corner.tolist(), FindingKind.MALIGNANT, (shape[0] - 61, shape[1] - 43)),
        replace(finding([[0, 1, 1], [1, 1, 0], [1, 0, 0]], FindingKind.BENIGN, (1001, 907)), score=0.5),
    )
    cells = (2, -(-shape[0] // _STEP), -(-shape[1] // _STEP))
    saliency = SaliencyMap(np.full(cells, 100, dtype=np.uint8), _STEP, (0, 0), (0, 0, *shape))
    image = replace(exam.image(vendor.view), shape=shape, findings=findings if found else (), saliency=saliency)
    return exam.with_images(image)
