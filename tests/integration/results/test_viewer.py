"""A viewer of other people that shows findings on the right pixels."""

import urllib.request
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.inference.reading import read_mammogram
from tests.integration.results.viewer import LEAST_GREY, Picture, Viewer, centroid, on_image, overlay, viewing
from tests.peers import PEERS
from tests.system.orthanc import Orthanc, running_orthanc
from tests.unit.results.analysed import Analysed, analysed_exam, encoded

pytestmark = [
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("orthanc-dicomweb"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("ohif"),
    pytest.mark.timeout(600),
]

LESIONS = tuple((kind, side) for kind in FindingKind for side in Laterality)
ROWS, COLUMNS = 832, 640
SHIFT = np.array((40, 24))
TOLERANCE_PX = 1.5


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Yield an archive with DICOMweb."""
    directory = tmp_path_factory.mktemp("archive")
    with running_orthanc(directory, plugins=(PEERS["orthanc-dicomweb"].program,)) as archive:
        yield archive


@pytest.fixture(scope="module")
def viewer(orthanc: Orthanc) -> Iterator[Viewer]:
    """Yield a viewer of the archive."""
    with viewing(orthanc) as running:
        yield running


def archived(orthanc: Orthanc, datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        url = f"http://127.0.0.1:{orthanc.http_port}/instances"
        urllib.request.urlopen(urllib.request.Request(url, data=encoded(dataset), method="POST"), timeout=30).close()


def exam_in(orthanc: Orthanc, photometric_interpretation: str) -> Analysed:
    exam = analysed_exam(ROWS, COLUMNS, lesions=LESIONS, photometric_interpretation=photometric_interpretation)
    archived(orthanc, [*exam.sources.values(), *exam.segmentations()])
    return exam


@pytest.fixture(scope="module")
def exams(orthanc: Orthanc) -> dict[str, Analysed]:
    """Return an exam as it is, and the same exam with inverted images."""
    return {name: exam_in(orthanc, name) for name in ("MONOCHROME2", "MONOCHROME1")}


@pytest.fixture(scope="module")
def exam_without_spacing(orthanc: Orthanc) -> Analysed:
    """Return an exam whose images state no pixel spacing, with another lesion in each view."""
    exam = analysed_exam(ROWS, COLUMNS, lesions=LESIONS, seed=41).with_source_elements(ImagerPixelSpacing=None)
    archived(orthanc, [*exam.sources.values(), *exam.segmentations()])
    return exam


def segmentation_of(exam: Analysed, view: str) -> Dataset:
    uid = exam.image(view).sop_instance_uid
    return next(one for one in exam.segmentations() if one.SourceImageSequence[0].ReferencedSOPInstanceUID == uid)


def distances(picture: Picture, exam: Analysed, view: str) -> dict[str, np.ndarray]:
    """Return the distance between each finding's centre and the centre of its mask in the viewer, in image pixels."""
    breast = read_mammogram(exam.source(view)).pixels * 255.0 / 4095 > LEAST_GREY
    image = exam.image(view)
    return {
        finding.kind: on_image(centroid(overlay(picture, finding.kind)), picture, breast)
        - centroid(finding.full_mask(image.shape))
        for finding in image.findings
    }


def assert_in_its_window(picture: Picture, exam: Analysed, view: str) -> None:
    """Assert that the breast is as bright as its pixels on a black background, also for an image stored inverted."""
    presented = read_mammogram(exam.source(view)).pixels
    grey = picture.max(axis=2).astype(float)
    shown, wanted = (values[values > LEAST_GREY] for values in (grey, presented * 255.0 / 4095))
    for percent in (25, 50, 75):
        assert np.percentile(shown, percent) == pytest.approx(np.percentile(wanted, percent), abs=8)


@pytest.mark.parametrize(
    ("view", "photometric_interpretation"),
    [*((view, "MONOCHROME2") for view in ("L CC", "R CC", "L MLO", "R MLO")), ("R MLO", "MONOCHROME1")],
)
def test_ohif_shows_findings_where_they_are(
    viewer: Viewer, exams: dict[str, Analysed], view: str, photometric_interpretation: str
) -> None:
    exam = exams[photometric_interpretation]
    picture = viewer.picture(exam.findings.study_instance_uid, segmentation_of(exam, view).SeriesInstanceUID)
    assert_in_its_window(picture, exam, view)
    found = distances(picture, exam, view)
    assert found.keys() == {"benign", "malignant"}
    for distance in found.values():
        assert np.abs(distance).max() < TOLERANCE_PX, found


def test_ohif_shows_findings_of_an_image_without_pixel_spacing(viewer: Viewer, exam_without_spacing: Analysed) -> None:
    exam = exam_without_spacing
    series = segmentation_of(exam, "L CC").SeriesInstanceUID
    picture = viewer.picture(exam.findings.study_instance_uid, series)
    for distance in distances(picture, exam, "L CC").values():
        assert np.abs(distance).max() < TOLERANCE_PX


@pytest.mark.parametrize(("view", "photometric_interpretation"), [("L CC", "MONOCHROME2"), ("R MLO", "MONOCHROME1")])
def test_a_shifted_segmentation_is_seen_to_be_shifted(
    viewer: Viewer, orthanc: Orthanc, exams: dict[str, Analysed], view: str, photometric_interpretation: str
) -> None:
    exam = exams[photometric_interpretation]
    shifted = segmentation_of(exam, view)
    moved = np.roll(shifted.pixel_array, tuple(SHIFT), axis=(1, 2))
    shifted.PixelData = np.packbits(moved.ravel(), bitorder="little").tobytes()
    shifted.SeriesInstanceUID = f"{shifted.SeriesInstanceUID[:50]}.1"
    shifted.SOPInstanceUID = UID(f"{shifted.SOPInstanceUID[:50]}.1")
    shifted.file_meta.MediaStorageSOPInstanceUID = shifted.SOPInstanceUID
    archived(orthanc, [shifted])
    picture = viewer.picture(exam.findings.study_instance_uid, shifted.SeriesInstanceUID)
    for distance in distances(picture, exam, view).values():
        assert np.abs(distance - SHIFT).max() < TOLERANCE_PX
