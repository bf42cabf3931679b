"""Tests that real screening views pass the guard, and that mirrored or mislabelled ones do not."""

import gzip
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.card import ModelCard
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.glam.preprocessing import prepare
from glam_node.inference.guard import check_image
from glam_node.inference.mammogram import Laterality, Mammogram
from glam_node.inference.reading import read_dataset, read_mammogram
from tests.shared_data import SHARED, needs_shared_data
from tests.system.mammograms import PATIENT_ORIENTATION, real_view

pytestmark = [needs_shared_data, pytest.mark.shared_data]

DATA = (SHARED or Path()) / "data"
THIRD_PARTY = ("fodicom_GH133_GE_Essential_RMLO.dcm", "omama_GE_Essential_RCC_2294.dcm")
NAMES = (*PATIENT_ORIENTATION, *THIRD_PARTY)


@cache
def view(name: str) -> Mammogram:
    if name in PATIENT_ORIENTATION:
        return read_mammogram(real_view(DATA / "mammograms", name))
    return read_mammogram(read_dataset(DATA / "dicom" / "mg" / name))


@pytest.mark.parametrize("name", NAMES)
def test_a_real_view_is_accepted_without_doubt(name: str) -> None:
    assert check_image(view(name), ModelCard()) == ()
    doubts = [remark for remark in prepare(view(name)).remarks if "outside the 2944 x 1920" not in remark]
    assert doubts == []


@pytest.mark.parametrize("says", ["everything", "nothing"])
@pytest.mark.parametrize("name", NAMES)
def test_a_real_view_that_is_mirrored_or_mislabelled_is_refused(name: str, says: str) -> None:
    real = view(name) if says == "everything" else replace(view(name), patient_orientation=None)
    other = Laterality.RIGHT if real.image_laterality is Laterality.LEFT else Laterality.LEFT
    for wrong in (
        replace(real, image_laterality=other),
        replace(real, pixels=np.ascontiguousarray(real.pixels[:, ::-1])),
    ):
        with pytest.raises(UnsupportedMammogram, match="laterality"):
            prepare(wrong)


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_real_view_that_is_turned_by_90_degrees_is_refused(name: str, turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(view(name).pixels, turns))
    with pytest.raises(UnsupportedMammogram):
        prepare(replace(view(name), pixels=turned))


@pytest.mark.parametrize("name", [name for name in NAMES if "MLO" in name])
def test_a_real_mlo_view_that_is_upside_down_is_refused(name: str) -> None:
    flipped = np.ascontiguousarray(view(name).pixels[::-1])
    with pytest.raises(UnsupportedMammogram, match="upside down"):
        prepare(replace(view(name), pixels=flipped))


REFUSED = {
    "fodicom_OutOfBoundsOverlay_Siemens_Inspiration_LCC_stereo.dcm": "stereotactic biopsy",
    "gcp_example-mg_SC_RGB.dcm": "secondary capture",
    "niffler_CBIS_P00038_LCC_mask.dcm.gz": "secondary capture",
    "niffler_CBIS_P00038_LMLO_mask.dcm.gz": "secondary capture",
    "odm_2294_0_noheader.dcm": "modality is not given",
    "omama_Hologic_DSM_stereoscout_L.dcm": "stereotactic biopsy",
}


def test_every_other_file_of_mammography_is_refused_with_its_reason(tmp_path: Path) -> None:
    folder = DATA / "dicom" / "mg"
    assert {path.name for path in folder.iterdir()} == {*THIRD_PARTY, *REFUSED}
    for name, reason in REFUSED.items():
        packed = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(gzip.decompress(packed) if name.endswith(".gz") else packed)
        with pytest.raises(UnsupportedMammogram, match=reason):
            read_mammogram(read_dataset(tmp_path / name))
