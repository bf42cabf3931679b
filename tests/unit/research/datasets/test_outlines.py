"""Tests of masks from outlines."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.outlines import box_mask, masks_of, polygon_mask, read_mask
from tests.shared_data import SHARED, needs_shared_data
from tests.unit.research.datasets.tiny import box, square


def test_masks_of_one_kind_are_united_and_the_other_is_empty() -> None:
    first, second = square(0, 0) > 0, square(10, 10) > 0
    masks = masks_of(first.shape, [(FindingKind.BENIGN, first), (FindingKind.BENIGN, second)])
    assert masks is not None
    assert (masks[FindingKind.BENIGN] == (first | second)).all()
    assert not masks[FindingKind.MALIGNANT].any()


def test_masks_of_empty_outlines_are_none() -> None:
    assert masks_of((4, 4), []) is None


def test_a_polygon_holds_its_corners_and_inside() -> None:
    assert np.argwhere(polygon_mask([(1, 2), (3, 2), (3, 4), (1, 4)], (6, 6))).tolist() == [
        [row, column] for row in (2, 3, 4) for column in (1, 2, 3)
    ]


def test_one_point_is_one_pixel() -> None:
    assert np.argwhere(polygon_mask([(3.2, 1.9)], (6, 6))).tolist() == [[2, 3]]


def test_a_box_outside_the_image_is_empty() -> None:
    assert not box_mask((-9, -9), (-1, -1), (6, 6)).any()


def test_a_box_is_cut_at_the_image() -> None:
    assert box(box_mask((4, -2), (9, 3), (6, 6))) == (0, 2, 4, 5)


def test_a_mask_that_is_neither_png_nor_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no mask")
    with pytest.raises(UnsupportedMammogram):
        read_mask(tmp_path / "mask.png", (4, 4))


def test_a_png_file_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(UnsupportedMammogram, match="damaged"):
        read_mask(tmp_path / "mask.png", (4, 4))


@needs_shared_data
def test_a_published_mask_of_cbis_ddsm_is_read(tmp_path: Path) -> None:
    assert SHARED is not None
    packed = SHARED / "data" / "dicom" / "mg" / "niffler_CBIS_P00038_LCC_mask.dcm.gz"
    (tmp_path / "1-2.dcm").write_bytes(gzip.decompress(packed.read_bytes()))
    assert np.count_nonzero(read_mask(tmp_path / "1-2.dcm", (4616, 3016))) == 38177
