"""Presentation states that DCMTK reads, and with which it shows an image as it does without them."""

import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tests.peers import PEERS
from tests.system.validators import dciodvfy_errors
from tests.unit.results.analysed import Analysed, analysed_exam, encoded
from tests.unit.results.presented import drawn, presentation_states

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.peer("dicom3tools")]

GREY_SCALES: list[dict[str, Any]] = [
    {},
    {"WindowCenter": [1500, 600], "WindowWidth": [900, 1200]},
    {"WindowCenter": 3000, "WindowWidth": 2000, "RescaleSlope": 2, "RescaleIntercept": -100, "RescaleType": "US"},
]


def dcmtk(program: str, *arguments: object) -> str:
    path = PEERS["dcmtk"].program.with_name(program)
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def written(dataset: Dataset, path: Path) -> Path:
    path.write_bytes(encoded(dataset))
    return path


def rendered(path: Path, *options: object) -> NDArray[np.uint8]:
    """Return the bitmap that dcmp2pgm writes."""
    bitmap = path.with_suffix(".pgm")
    dcmtk("dcmp2pgm", *options, path, bitmap)
    return np.asarray(cv2.imread(str(bitmap), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def sources(exam: Analysed, states: list[Dataset]) -> list[Dataset]:
    uids = [state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID for state in states]
    return [exam.sources[str(uid)] for uid in uids]


def voi_lut() -> Dataset:
    """Return a VOI LUT as mammograms have it: 12 bits, a sigmoid over all values."""
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.add_new("LUTData", "US", np.round(4095 / (1 + np.exp(-np.linspace(-6, 6, 4096)))).astype(int).tolist())
    return table


GREY_SCALES.append({"VOILUTSequence": [voi_lut()], "WindowCenter": None, "WindowWidth": None})


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("grey_scale", GREY_SCALES, ids=lambda elements: "+".join(elements) or "plain")
def test_an_image_looks_the_same_with_its_state(
    tmp_path: Path, photometric_interpretation: str, grey_scale: dict[str, Any]
) -> None:
    exam = analysed_exam(photometric_interpretation=photometric_interpretation).with_source_elements(**grey_scale)
    states = presentation_states(exam)
    for number, (state, source) in enumerate(zip(states, sources(exam, states), strict=True)):
        image = written(source, tmp_path / f"image-{number}.dcm")
        path = written(state, tmp_path / f"state-{number}.dcm")
        assert "Test passed" in dcmtk("dcmpschk", "-v", path)
        alone, together = rendered(image), rendered(image, "-p", path)
        assert together.shape == (source.Rows, source.Columns)
        assert alone.max() - alone.min() > 50
        assert np.abs(alone.astype(int) - together).max() <= ("VOILUTSequence" in grey_scale)
        assert dciodvfy_errors(path) == []


def test_the_image_would_look_different_without_the_copied_window(tmp_path: Path) -> None:
    exam = analysed_exam().with_source_elements(**GREY_SCALES[1])
    states = presentation_states(exam)
    image = written(sources(exam, states)[0], tmp_path / "image.dcm")
    alone = rendered(image)
    del states[0].SoftcopyVOILUTSequence
    assert not np.array_equal(alone, rendered(image, "-p", written(states[0], tmp_path / "state.dcm")))


@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_the_outlines_that_dcmtk_read_enclose_the_findings(tmp_path: Path, photometric_interpretation: str) -> None:
    exam = analysed_exam(65, 49, photometric_interpretation=photometric_interpretation)
    states = presentation_states(exam)
    for state, source in zip(states, sources(exam, states), strict=True):
        path, again = written(state, tmp_path / "state.dcm"), tmp_path / "again.dcm"
        rendered(written(source, tmp_path / "image.dcm"), "-p", path, "+S", again)
        (image,) = [one for one in exam.findings.images if one.sop_instance_uid == source.SOPInstanceUID]
        annotations = pydicom.dcmread(again).GraphicAnnotationSequence
        outlined = [drawn(one, image.shape) for one in annotations if "GraphicObjectSequence" in one]
        assert len(outlined) == len(image.findings)
        for found in image.findings:
            assert any(
                inside[found.full_mask(image.shape)].all() and inside.sum() < 1.05 * found.pixel_count
                for inside in outlined
            )
