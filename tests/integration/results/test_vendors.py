"""Results on images of every vendor's detectors: every kind is valid and in place."""

from pathlib import Path

import numpy as np
import pytest

from glam_node import result_kinds
from glam_node.node.results.segmentation import BINARY, FRACTIONAL, LABELMAP
from tests.system.validators import dciodvfy_errors, dcmqi_masks
from tests.unit.results.analysed import stored
from tests.unit.results.vendors import VENDORS, vendor_exam

_OF_FOUND = {
    result_kinds.SEGMENTATION,
    result_kinds.FRACTIONAL_SEGMENTATION,
    result_kinds.LABELMAP_SEGMENTATION,
    result_kinds.PRESENTATION_STATE,
    result_kinds.KEY_OBJECT_SELECTION,
}
# Without findings, only the picture and the maps depend on the size.
CASES = [*((name, True) for name in VENDORS), ("GE large", False), ("Hologic, 16 bits", False)]


@pytest.mark.peer("dicom3tools")
@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize(("name", "found"), CASES)
def test_every_kind_is_valid_and_dcmqi_reads_the_masks(tmp_path: Path, name: str, found: bool) -> None:
    exam = vendor_exam(name, found=found)
    (image,) = exam.findings.images
    path, masks, written = tmp_path / "result.dcm", [], set()
    every = frozenset(result_kinds.ANALYSIS_KINDS)
    for made in exam.every_kind():
        path.write_bytes(b"".join(made.parts))
        assert dciodvfy_errors(path) == [], made.kind
        written.add(made.kind)
        if made.kind == result_kinds.SEGMENTATION:
            masks += dcmqi_masks(path, tmp_path / str(made.dataset.SOPInstanceUID))
    assert written == (every if found else every - _OF_FOUND)
    assert len(masks) == len(image.findings)
    for mask, finding in zip(masks, image.findings, strict=True):
        assert np.array_equal(mask, finding.full_mask(image.shape))


@pytest.mark.parametrize("name", VENDORS)
def test_all_segmentations_of_a_view_show_the_same_pixels(name: str) -> None:
    exam = vendor_exam(name)
    (image,) = exam.findings.images
    binary, fractional, labels = (
        [stored(one).pixel_array for one in exam.segmentations(segmentation_type=kind)]
        for kind in (BINARY, FRACTIONAL, LABELMAP)
    )
    frames = [frame for one in binary for frame in one.reshape(-1, *image.shape)]
    for number, (finding, frame) in enumerate(zip(image.findings, frames, strict=True), start=1):
        mask = finding.full_mask(image.shape)
        assert np.array_equal(frame > 0, mask)
        assert np.array_equal(fractional[number - 1] > 0, mask)
        assert np.array_equal(labels[0] == number, mask)
