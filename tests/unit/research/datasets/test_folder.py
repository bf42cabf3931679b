"""Tests of a folder of DICOM files with a table of labels."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.folder import LABELS, open_folder
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from tests.unit.research.datasets.tiny import (
    anonymised,
    box,
    count_headers,
    film,
    mammogram,
    square,
    write,
    write_csv,
    write_png,
)

LABELLED = {"benign": "0", "malignant": "1"}


def write_exam(folder: Path, seed: int = 1, **elements: object) -> list[Dataset]:
    """Write R CC, R MLO, L CC and L MLO as 0.dcm to 3.dcm, and so on for the next seed."""
    views = [mammogram(side, view, seed=seed, **elements) for side in "RL" for view in ("CC", "MLO")]
    for number, dataset in enumerate(views):
        write(folder / "images" / f"{4 * (seed - 1) + number}.dcm", dataset)
    return views


def opened(folder: Path, *rows: dict[str, str]) -> ListedDataset:
    write_csv(folder / LABELS, [LABELLED | row for row in rows])
    return open_folder(folder)


def problems_of(dataset: ListedDataset) -> list[tuple[int, str]]:
    with pytest.raises(DatasetError) as caught:
        _ = dataset.views
    return [(problem.row, problem.column) for problem in caught.value.problems]


def test_a_row_may_name_the_path_of_an_image(tmp_path: Path) -> None:
    right_cc = write_exam(tmp_path)[0]
    (view,) = opened(tmp_path, {"path": "images/0.dcm"}).views
    assert (view.image_id, view.study_id) == (right_cc.SOPInstanceUID, right_cc.StudyInstanceUID)
    assert (view.image_laterality, view.view_position, view.labels) == ("R", "CC", (False, True))


def test_a_row_may_name_the_uid_of_an_image(tmp_path: Path) -> None:
    left_mlo = write_exam(tmp_path)[3]
    (view,) = opened(tmp_path, {"sop_instance_uid": left_mlo.SOPInstanceUID}).views
    assert (view.image_laterality, view.view_position) == ("L", "MLO")


def test_a_row_may_be_about_all_views_of_a_breast(tmp_path: Path) -> None:
    study = write_exam(tmp_path)[0].StudyInstanceUID
    views = opened(tmp_path, {"study_instance_uid": study, "image_laterality": "left"}).views
    assert {(view.image_laterality, view.view_position) for view in views} == {("L", "CC"), ("L", "MLO")}


def test_a_row_about_a_breast_may_name_the_view(tmp_path: Path) -> None:
    study = write_exam(tmp_path)[0].StudyInstanceUID
    row = {"study_instance_uid": study, "image_laterality": "R", "view_position": "mlo"}
    assert [view.view_position for view in opened(tmp_path, row).views] == ["MLO"]


def test_the_image_is_read_as_it_is(tmp_path: Path) -> None:
    write_exam(tmp_path)
    dataset = opened(tmp_path, {"path": "images/2.dcm"})
    assert dataset.read(dataset.views[0]).image_laterality == "L"


def test_the_table_supplies_values_that_a_header_lacks(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", anonymised("R", "MLO"))
    dataset = opened(tmp_path, {"path": "a.dcm", "image_laterality": "R", "view_position": "MLO"})
    assert dataset.read(dataset.views[0]).view_position == "MLO"


def test_a_header_that_contradicts_the_table_is_refused_when_read(tmp_path: Path) -> None:
    write_exam(tmp_path)
    dataset = opened(tmp_path, {"path": "images/0.dcm", "image_laterality": "L"})
    with pytest.raises(UnsupportedMammogram, match="states another laterality than its labels, which state L"):
        dataset.read(dataset.views[0])


def test_the_split_column_assigns_parts(tmp_path: Path) -> None:
    write_exam(tmp_path)
    assert opened(tmp_path, {"path": "images/0.dcm", "split": "test"}).views[0].split == "test"


def test_a_png_file_outlines_lesions(tmp_path: Path) -> None:
    write_exam(tmp_path)
    write_png(tmp_path / "mask.png", square(10, 20))
    dataset = opened(tmp_path, {"path": "images/0.dcm", "malignant_mask": "mask.png", "benign_mask": ""})
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (10, 13, 20, 23)


def test_a_transparent_background_is_not_an_outline(tmp_path: Path) -> None:
    write_exam(tmp_path)
    lesion = square(10, 20)
    write_png(tmp_path / "mask.png", np.dstack((lesion, lesion, lesion, np.full_like(lesion, 255))))
    dataset = opened(tmp_path, {"path": "images/0.dcm", "malignant_mask": "mask.png"})
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert np.count_nonzero(masks[FindingKind.MALIGNANT]) == 16


def test_a_dicom_segmentation_outlines_lesions(tmp_path: Path) -> None:
    source = write_exam(tmp_path)[0]
    frames = np.stack((square(10, 20), square(30, 20))) > 0
    segmentation = mammogram("R", "CC", Modality="SEG", NumberOfFrames=2, BitsAllocated=1, BitsStored=1, HighBit=0)
    segmentation.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    write(tmp_path / "seg.dcm", segmentation)
    dataset = opened(tmp_path, {"sop_instance_uid": source.SOPInstanceUID, "malignant_mask": "seg.dcm"})
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (10, 33, 20, 23)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_exam(tmp_path)
    write_png(tmp_path / "mask.png", square(1, 1, shape=(32, 32)))
    dataset = opened(tmp_path, {"path": "images/0.dcm", "malignant_mask": "mask.png"})
    with pytest.raises(UnsupportedMammogram, match=r"outline is \(32, 32\) pixels"):
        dataset.masks(dataset.views[0])


@pytest.mark.parametrize("header_says_it", [False, True])
def test_a_folder_of_film_is_prepared_as_film_with_its_outlines(tmp_path: Path, header_says_it: bool) -> None:
    stored = film()
    stored.ConversionType = "DF" if header_says_it else "WSD"
    stored.StudyInstanceUID, stored.PatientOrientation = "2.25.5", ["P", "L"]
    stored.PixelData = np.ascontiguousarray(stored.pixel_array[:, ::-1]).tobytes()
    write(tmp_path / "film.dcm", stored)
    write_png(tmp_path / "mask.png", square(20, 36))
    row = {"path": "film.dcm", "image_laterality": "L", "view_position": "CC", "benign": "0", "malignant": "1"}
    write_csv(tmp_path / "labels.csv", [row | {"malignant_mask": "mask.png"}])
    dataset = open_folder(tmp_path, film=not header_says_it)
    mammogram, masks = dataset.read(dataset.views[0]), dataset.masks(dataset.views[0])
    assert masks is not None
    assert mammogram.pixels[32, 0] > 0
    assert not mammogram.pixels[:, -1].any()
    assert box(masks[FindingKind.MALIGNANT]) == (20, 23, 8, 11)
    assert masks[FindingKind.MALIGNANT].shape == mammogram.shape


def test_an_image_without_mask_column_has_no_masks(tmp_path: Path) -> None:
    write_exam(tmp_path)
    dataset = opened(tmp_path, {"path": "images/0.dcm"})
    assert dataset.masks(dataset.views[0]) is None


def test_studies_of_one_patient_have_one_key_which_is_not_the_patient_id(tmp_path: Path) -> None:
    write_exam(tmp_path, 1, PatientID="A")
    write_exam(tmp_path, 2, PatientID="A")
    write_exam(tmp_path, 3, PatientID="B")
    views = opened(tmp_path, *({"path": f"images/{number}.dcm"} for number in (0, 4, 8))).views
    keys = {view.study_id: view.patient_key for view in views}
    assert len(keys) == 3
    assert sorted(list(keys.values()).count(key) for key in set(keys.values())) == [1, 2]
    assert {"A", "B"}.isdisjoint(keys.values())


def test_every_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_exam(tmp_path)[0].StudyInstanceUID
    read = count_headers("folder", monkeypatch)
    dataset = opened(tmp_path, *({"study_instance_uid": study, "image_laterality": side} for side in "LR"))
    assert read == []
    assert len(dataset.views) == 4
    assert len(read) == 4


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    write_exam(tmp_path)
    write(tmp_path / "ml.dcm", mammogram("L", "CC", ViewCodeSequence=None, ViewPosition="ML"))
    (tmp_path / "text.dcm").write_text("no DICOM")
    dataset = opened(
        tmp_path,
        {"path": "images/0.dcm", "benign": "perhaps"},
        {"path": "images/9.dcm"},
        {"path": "ml.dcm"},
        {"path": "text.dcm"},
        {"path": ""},
        {"path": "images/1.dcm", "malignant": ""},
    )
    wanted = [(2, "benign"), (3, "path"), (4, "view_position"), (5, "path"), (6, "path"), (7, "malignant")]
    assert problems_of(dataset) == wanted


def test_an_image_without_a_stated_view_is_a_bad_row(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", anonymised())
    with pytest.raises(DatasetError, match="neither the table nor the image's header says it") as caught:
        _ = opened(tmp_path, {"path": "a.dcm"}).views
    assert [problem.column for problem in caught.value.problems] == ["image_laterality", "view_position"]


def test_an_image_without_study_is_a_bad_row(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", mammogram(StudyInstanceUID=None))
    assert problems_of(opened(tmp_path, {"path": "a.dcm"})) == [(2, "")]


def test_images_without_patient_id_have_no_patient_key(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", mammogram(PatientID=""))
    assert opened(tmp_path, {"path": "a.dcm"}).views[0].patient_key == ""


def test_a_damaged_segmentation_is_refused(tmp_path: Path) -> None:
    write_exam(tmp_path)
    write(tmp_path / "seg.dcm", mammogram(Modality="SEG", BitsAllocated=1, PixelData=b"\0\0"))
    dataset = opened(tmp_path, {"path": "images/0.dcm", "malignant_mask": "seg.dcm"})
    with pytest.raises(UnsupportedMammogram, match="segmentation cannot be decoded"):
        dataset.masks(dataset.views[0])


def test_a_missing_mask_is_a_bad_row(tmp_path: Path) -> None:
    write_exam(tmp_path)
    assert problems_of(opened(tmp_path, {"path": "images/0.dcm", "benign_mask": "x.png"})) == [(2, "benign_mask")]


def test_one_mask_for_two_images_is_a_bad_row(tmp_path: Path) -> None:
    study = write_exam(tmp_path)[0].StudyInstanceUID
    write_png(tmp_path / "mask.png", square(1, 1))
    row = {"study_instance_uid": study, "image_laterality": "R", "malignant_mask": "mask.png"}
    assert problems_of(opened(tmp_path, row)) == [(2, "malignant_mask")]


def test_an_image_in_two_rows_is_a_bad_row(tmp_path: Path) -> None:
    write_exam(tmp_path)
    assert problems_of(opened(tmp_path, {"path": "images/0.dcm"}, {"path": "images/0.dcm"})) == [(3, "")]


def test_views_of_one_breast_with_other_labels_are_a_bad_row(tmp_path: Path) -> None:
    write_exam(tmp_path)
    rows = {"path": "images/0.dcm"}, {"path": "images/1.dcm", "malignant": "0"}
    assert problems_of(opened(tmp_path, *rows)) == [(3, "")]


@pytest.mark.parametrize("column", ["sop_instance_uid", "study_instance_uid"])
def test_a_uid_that_no_file_has_is_a_bad_row(tmp_path: Path, column: str) -> None:
    write_exam(tmp_path)
    assert problems_of(opened(tmp_path, {column: "2.25.0", "image_laterality": "L"})) == [(2, column)]


def test_the_error_for_a_table_without_image_columns_lists_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="path, or sop_instance_uid, or study_instance_uid"):
        _ = opened(tmp_path, {}).views


def test_a_table_without_labels_says_which_columns_are_missing(tmp_path: Path) -> None:
    write_csv(tmp_path / LABELS, [{"path": "a.dcm"}])
    with pytest.raises(DatasetError, match=r"'benign'(.|\n)*'malignant'"):
        _ = open_folder(tmp_path).views


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_text("path,benign,malignant\n")
    with pytest.raises(DatasetError, match="no images"):
        _ = open_folder(tmp_path).views
