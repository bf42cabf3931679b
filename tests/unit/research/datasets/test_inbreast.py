"""Tests with an imitation of INbreast 1.0: one patient, two views and a contour file."""

import plistlib
from pathlib import Path

import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.inbreast import TABLE, open_inbreast
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from tests.unit.research.datasets.imitated import INBREAST_ROW
from tests.unit.research.datasets.tiny import anonymised, box, mammogram, write, write_csv

PATIENT = "61b13c59bcba149e"
SQUARE = ["(10.2, 20.0)", "(15.0, 20.0)", "(15.0, 25.0)", "(9.8, 25.0)"]


def contours(*regions: tuple[str, list[str]]) -> bytes:
    rois = [
        {"Name": name, "NumberOfPoints": len(points), "Point_px": points, "IndexInImage": number}
        for number, (name, points) in enumerate(regions)
    ]
    return plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]})


def inbreast(folder: Path, *rows: dict[str, str], xml: bytes = b"") -> ListedDataset:
    rows = tuple(INBREAST_ROW | row for row in rows)
    write_csv(folder / TABLE, rows, delimiter=";")
    for row in rows:
        written = "ML" if row["View"] == "MLO" else row["View"]
        name = f"{row['File Name']}_{PATIENT}_MG_{row['Laterality']}_{written}_ANON.dcm"
        if row["Laterality"] in ("L", "R"):
            write(folder / "AllDICOMs" / name, anonymised(row["Laterality"], row["View"]))
    (folder / "AllXML").mkdir()
    if xml:
        (folder / "AllXML" / "22678646.xml").write_bytes(xml)
    return open_inbreast(folder)


def test_a_breast_has_the_labels_of_all_its_images(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {}, {"File Name": "22678694", "View": "MLO", "Bi-Rads": "2"})
    assert [view.labels for view in dataset.views] == [(True, True), (True, True)]


@pytest.mark.parametrize(
    ("assessment", "labels"),
    [("1", (False, False)), ("2", (True, False)), ("3", (True, False)), ("4c", (False, True)), ("6", (False, True))],
)
def test_the_assessment_decides_the_label(tmp_path: Path, assessment: str, labels: tuple[bool, bool]) -> None:
    assert inbreast(tmp_path, {"Bi-Rads": assessment}).views[0].labels == labels


def test_two_dates_are_two_studies_of_one_patient(tmp_path: Path) -> None:
    first, second = inbreast(tmp_path, {}, {"File Name": "22678694", "Acquisition date": "200901"}).views
    assert first.study_id != second.study_id
    assert first.patient_key == second.patient_key == PATIENT


def test_an_image_without_laterality_is_read_as_the_table_says(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {"View": "MLO"})
    mammogram = dataset.read(dataset.views[0])
    assert (mammogram.image_laterality, mammogram.view_position) == ("L", "MLO")


def test_ml_in_a_header_is_read_as_mlo(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {"View": "MLO"})
    (image,) = (tmp_path / "AllDICOMs").iterdir()
    write(image, mammogram("L", "MLO", ViewPosition="ML", ViewCodeSequence=None))
    assert dataset.read(dataset.views[0]).view_position == "MLO"


def test_a_contour_is_a_mask_of_its_images_kind(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {}, xml=contours(("Mass", SQUARE)))
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (20, 25, 10, 15)
    assert not masks[FindingKind.BENIGN].any()


@pytest.mark.parametrize("name", ["Espiculated Region", "Assymetry", "CLUSTER"])
def test_lesions_are_recognised_in_the_spellings_of_the_release(tmp_path: Path, name: str) -> None:
    dataset = inbreast(tmp_path, {}, xml=contours((name, SQUARE)))
    assert dataset.masks(dataset.views[0]) is not None


def test_single_calcifications_are_not_outlines_of_lesions(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {}, xml=contours(("Calcification", ["(3.0, 4.0)"])))
    assert dataset.masks(dataset.views[0]) is None


def test_the_contours_that_count_as_lesions_are_a_parameter(tmp_path: Path) -> None:
    inbreast(tmp_path, {}, xml=contours(("Calcification", ["(3.0, 4.0)"])))
    dataset = open_inbreast(tmp_path, lesions=frozenset({"calcification"}))
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (4, 4, 3, 3)


def test_an_image_without_contour_file_has_no_masks(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {})
    assert dataset.masks(dataset.views[0]) is None


def test_an_image_that_is_called_normal_has_no_masks(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {"Bi-Rads": "1"}, xml=contours(("Mass", SQUARE)))
    assert dataset.masks(dataset.views[0]) is None


@pytest.mark.parametrize("xml", [b"<plist", contours(("Mass", ["(a, b)"])), plistlib.dumps([])])
def test_a_damaged_contour_file_is_refused_when_it_is_asked_for(tmp_path: Path, xml: bytes) -> None:
    dataset = inbreast(tmp_path, {}, xml=xml)
    with pytest.raises(UnsupportedMammogram, match="contours is damaged"):
        dataset.masks(dataset.views[0])


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    dataset = inbreast(tmp_path, {"Bi-Rads": "0"}, {"File Name": "1"}, {"File Name": "3", "Laterality": "X"})
    next((tmp_path / "AllDICOMs").glob("1_*")).unlink()
    with pytest.raises(DatasetError) as caught:
        _ = dataset.views
    found = [(problem.row, problem.column) for problem in caught.value.problems]
    assert found == [(2, "Bi-Rads"), (3, "File Name"), (4, "File Name"), (4, "Laterality")]


def test_a_copy_without_the_csv_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"INbreast\.csv cannot be read"):
        _ = open_inbreast(tmp_path).views
