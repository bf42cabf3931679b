"""Segmentations of every geometry, read by dwv and cornerstone3D pixel by pixel over the right image."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glam_node.inference.findings import ImageFindings
from tests.peers import PEERS
from tests.unit.results.analysed import Analysed, analysed_exam, encoded

pytestmark = [pytest.mark.peer("node"), pytest.mark.peer("mask-readers")]

GEOMETRIES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "plain": (832, 640, {}),
    "inverted": (832, 640, {"PhotometricInterpretation": "MONOCHROME1"}),
    "unaligned": (831, 641, {}),
    "without_spacing": (832, 640, {"ImagerPixelSpacing": None}),
    "oblong_pixels": (832, 640, {"ImagerPixelSpacing": [0.05, 0.1]}),
    "magnified": (832, 640, {"EstimatedRadiographicMagnificationFactor": "1.0433386837881"}),
    "distances": (
        832,
        640,
        {
            "EstimatedRadiographicMagnificationFactor": None,
            "DistanceSourceToDetector": "700",
            "DistanceSourceToPatient": "650",
        },
    ),
    "calibrated": (832, 640, {"PixelSpacing": [0.09, 0.09], "EstimatedRadiographicMagnificationFactor": "1.05"}),
    "placed": (
        832,
        640,
        {"ImagePositionPatient": [10.0, -20.0, 30.0], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
    ),
}
VIEWERS = ("dwv", "cornerstone3D")
LEAST_SPACING_ERROR = 1e-6


@pytest.fixture(scope="module")
def exams() -> dict[str, Analysed]:
    """Return one analysed exam for each geometry."""
    return {
        name: analysed_exam(rows, columns).with_source_elements(**elements)
        for name, (rows, columns, elements) in GEOMETRIES.items()
    }


@pytest.fixture(scope="module")
def seen(exams: dict[str, Analysed], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the reading of every segmentation, by viewer and file name."""
    folder = tmp_path_factory.mktemp("masks")
    for name, exam in exams.items():
        for number, source in enumerate(exam.sources.values()):
            (folder / f"{name}-{number}.src.dcm").write_bytes(encoded(source))
        for number, segmentation in enumerate(exam.segmentations()):
            (folder / f"{name}-{number}.seg.dcm").write_bytes(encoded(segmentation))
    packages = PEERS["mask-readers"].program.parents[2]
    script = shutil.copy(Path(__file__).with_name("mask_readers.mjs"), packages)
    done = subprocess.run([PEERS["node"].program, script, folder], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return {(reading["viewer"], reading["name"]): reading for reading in json.loads(done.stdout)}


def masks_of(image: ImageFindings) -> list[str]:
    """Return the digest of every finding's mask on the whole image, in order."""
    return [
        hashlib.sha256(finding.full_mask(image.shape).astype("uint8").tobytes()).hexdigest()
        for finding in image.findings
    ]


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_viewer_reads_every_finding_on_its_pixels(
    exams: dict[str, Analysed], seen: dict[tuple[str, str], dict[str, Any]], geometry: str, viewer: str
) -> None:
    exam = exams[geometry]
    shown: dict[str, list[str]] = {}
    for number, segmentation in enumerate(exam.segmentations()):
        reading = seen[viewer, f"{geometry}-{number}.seg.dcm"]
        assert "error" not in reading, reading
        assert reading["source"] == segmentation.SourceImageSequence[0].ReferencedSOPInstanceUID
        shown.setdefault(reading["source"], []).extend(reading["segments"].values())
    assert shown == {image.sop_instance_uid: masks_of(image) for image in exam.findings.images if image.findings}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_dwv_draws_masks_at_the_scale_of_their_image(
    seen: dict[tuple[str, str], dict[str, Any]], geometry: str
) -> None:
    readings = [reading for (viewer, name), reading in seen.items() if viewer == "dwv" and name.startswith(geometry)]
    assert readings
    for reading in readings:
        assert reading["maskSpacing"] == pytest.approx(reading["imageSpacing"], rel=LEAST_SPACING_ERROR)
