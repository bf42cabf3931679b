"""Tests of `glam-node phantom`."""

from pathlib import Path

import pydicom
import pytest

from tests.command_line import glam_node

SMALL = ("--rows", "64", "--columns", "48")


@pytest.mark.features("glam-node phantom")
def test_four_views_are_written_and_named(tmp_path: Path) -> None:
    told = glam_node("phantom", "--out", tmp_path / "exam", *SMALL).stdout.splitlines()
    assert [Path(line).name for line in told] == ["R-CC.dcm", "L-CC.dcm", "R-MLO.dcm", "L-MLO.dcm"]
    studies = {pydicom.dcmread(line).StudyInstanceUID for line in told}
    assert len(studies) == 1


def test_the_same_seed_writes_the_same_bytes_and_another_another_study(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        glam_node("phantom", "--out", tmp_path / name, "--seed", str(seed), *SMALL)
    one, again, other = ((tmp_path / name / "R-CC.dcm").read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_images_can_be_stored_inverted(tmp_path: Path) -> None:
    glam_node("phantom", "--out", tmp_path, "--monochrome1", *SMALL)
    assert pydicom.dcmread(tmp_path / "R-CC.dcm").PhotometricInterpretation == "MONOCHROME1"
